import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ensureBinaries, KUBERNETES_VERSION } from '../../../hack/kube/binaries.ts';
import { SetupError } from '../../../hack/kube/setup-error.ts';

describe('KUBEBUILDER_ASSETS', () => {
  let assets: string;

  beforeEach(async () => {
    assets = await mkdtemp(join(tmpdir(), 'sojourn-assets-'));
  });
  afterEach(() => rm(assets, { recursive: true }));

  const ensure = () =>
    ensureBinaries({ env: { ...process.env, KUBEBUILDER_ASSETS: assets }, report: (line) => console.log(line) });
  const put = (name: string, mode = 0o755) => writeFile(join(assets, name), '#!/bin/sh\n', { mode });

  it('replaces etcd and kube-apiserver; the rest stays our own', async function () {
    // On a machine where nothing was built yet, this is the first to build.
    this.timeout(20 * 60_000);
    await put('etcd');
    await put('kube-apiserver');
    const binaries = await ensure();
    expect(binaries.etcd).to.deep.equal({ file: join(assets, 'etcd'), args: [] });
    expect(binaries.kubeApiserver).to.deep.equal({ file: join(assets, 'kube-apiserver'), args: [] });
    expect(binaries.kubectl.args).to.deep.equal(['kubectl']);
    expect(binaries.kubeControllerManager.args).to.deep.equal(['kube-controller-manager']);
    expect(await readFile(join(binaries.crdDir, 'agents.x-k8s.io_sandboxes.yaml'), 'utf8')).to.include('kind: Sandbox');

    await put('kubectl');
    expect((await ensure()).kubectl).to.deep.equal({ file: join(assets, 'kubectl'), args: [] });
  });

  it('names the program that the folder lacks, or that cannot be run', async () => {
    await put('etcd');
    expect(await failure()).to.match(/no executable kube-apiserver in it/);
    await put('kube-apiserver', 0o644);
    expect(await failure()).to.match(/no executable kube-apiserver in it/);
  });

  async function failure(): Promise<string> {
    const error = await ensure().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).to.be.instanceOf(SetupError);
    return (error as SetupError).message;
  }
});

describe('the Kubernetes version', () => {
  it('that the binaries say is the one that go.mod requires', async () => {
    const goMod = await readFile(join(import.meta.dirname, '../../../hack/kube/go.mod'), 'utf8');
    expect(/^\tk8s\.io\/kubernetes v(\S+)$/m.exec(goMod)?.[1]).to.equal(KUBERNETES_VERSION);
  });
});
