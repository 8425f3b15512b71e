import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { expect } from 'chai';
import { loadClusterConfig } from '../../../apis/client/kubeconfig.ts';

const kubeconfig = (users: object[]) =>
  JSON.stringify({
    'current-context': 'here',
    contexts: [{ name: 'here', context: { cluster: 'one', user: 'me' } }],
    clusters: [{ name: 'one', cluster: { server: 'https://localhost:6443' } }],
    users,
  });

describe('the token file of a kubeconfig', () => {
  const { KUBECONFIG, HOME } = process.env;
  let dir: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sojourn-kubeconfig-'));
    await mkdir(join(dir, '.kube'));
    const named = kubeconfig([{ name: 'me', user: { tokenFile: 'mine' } }]);
    await writeFile(join(dir, '.kube', 'config'), named);
    await writeFile(join(dir, '.kube', 'mine'), 'secret\n');
    await writeFile(join(dir, 'other'), JSON.stringify({ users: [{ name: 'other', user: { tokenFile: 'none' } }] }));
  });
  afterEach(() => {
    for (const [name, value] of Object.entries({ KUBECONFIG, HOME })) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
  });
  after(() => rm(dir, { recursive: true }));

  const token = async (path?: string) => await (await loadClusterConfig(path)).token?.();

  it('is read beside a file that is named', async () => {
    expect(await token(join(dir, '.kube', 'config'))).to.equal('secret');
  });

  it('is read alike from the files of $KUBECONFIG', async () => {
    process.env.KUBECONFIG = [join(dir, 'other'), join(dir, '.kube', 'config')].join(delimiter);
    expect(await token()).to.equal('secret');
  });

  it('is read alike from ~/.kube/config', async () => {
    Object.assign(process.env, { KUBECONFIG: '', HOME: dir });
    expect(await token()).to.equal('secret');
  });
});
