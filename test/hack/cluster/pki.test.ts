import { X509Certificate } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { issueLeaf } from '../../../hack/cluster/certificates.ts';
import { type CredentialPaths, ensurePki, type Pki } from '../../../hack/cluster/pki.ts';

describe('the keys and certificates', () => {
  let dir: string;
  let pki: Pki;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sojourn-pki-'));
    pki = await ensurePki(dir);
  });
  after(() => rm(dir, { recursive: true }));

  const certificate = async ({ cert }: CredentialPaths): Promise<X509Certificate> =>
    new X509Certificate(await readFile(cert));
  const contents = async (): Promise<Record<string, string>> =>
    Object.fromEntries(
      await Promise.all((await readdir(dir)).map(async (name) => [name, await readFile(join(dir, name), 'utf8')])),
    );
  /** Names of the files that a second run over the same folder changes. */
  const changedByRestart = async (): Promise<string[]> => {
    const before = await contents();
    await ensurePki(dir);
    const after = await contents();
    return Object.keys(after)
      .filter((name) => after[name] !== before[name])
      .sort();
  };

  it('names users and groups as Kubernetes reads them', async () => {
    expect((await certificate(pki.admin)).subject).to.equal('O=system:masters\nCN=admin');
    expect((await certificate(pki.alice)).subject).to.equal('O=sojourn-users\nCN=alice');
    expect((await certificate(pki.nodeClient)).subject).to.equal('O=system:nodes\nCN=system:node:sojourn-local');
    expect((await certificate(pki.frontProxyClient)).subject).to.equal('CN=front-proxy-client');
  });

  it('lets servers be called by their local and their Service names', async () => {
    const apiserver = await certificate(pki.sojournApiserver);
    expect(apiserver.checkHost('sojourn-apiserver.sojourn-system.svc')).to.not.equal(undefined);
    expect(apiserver.checkHost('localhost')).to.not.equal(undefined);
    expect(apiserver.checkIP('127.0.0.1')).to.not.equal(undefined);
    expect((await certificate(pki.sojournProxy)).checkHost('sojourn-proxy.sojourn-system.svc')).to.not.equal(undefined);
    expect((await certificate(pki.kubeApiserver)).checkIP('10.0.0.1')).to.not.equal(undefined);
  });

  it('keeps the authorities apart', async () => {
    const [ca, frontProxyCa] = await Promise.all([certificate(pki.ca), certificate(pki.frontProxyCa)]);
    const frontProxyClient = await certificate(pki.frontProxyClient);
    expect(frontProxyClient.verify(frontProxyCa.publicKey)).to.equal(true);
    expect(frontProxyClient.verify(ca.publicKey)).to.equal(false);
    expect((await certificate(pki.alice)).verify(frontProxyCa.publicKey)).to.equal(false);
    expect((await certificate(pki.alice)).keyUsage).to.deep.equal(['1.3.6.1.5.5.7.3.2']);
  });

  it('keeps private keys from other users of the machine', async () => {
    for (const name of (await readdir(dir)).filter((file) => file.endsWith('.key'))) {
      expect((await stat(join(dir, name))).mode & 0o777, name).to.equal(0o600);
    }
  });

  it('changes nothing while everything is valid', async () => {
    expect(await changedByRestart()).to.deep.equal([]);
  });

  it('makes anew what is missing, broken off half-way, or of another authority, and only that', async () => {
    await rm(pki.bob.cert);
    await writeFile(pki.admin.key, await readFile(pki.alice.key));
    const foreign = { cert: await readFile(pki.etcdCa.cert, 'utf8'), key: await readFile(pki.etcdCa.key, 'utf8') };
    const forged = await issueLeaf(foreign, { commonName: 'system:node:sojourn-local', usages: ['client'] });
    await writeFile(pki.nodeClient.cert, forged.cert);
    await writeFile(pki.nodeClient.key, forged.key);
    expect(await changedByRestart()).to.deep.equal(
      ['admin.crt', 'admin.key', 'bob.crt', 'bob.key', 'node-client.crt', 'node-client.key'].sort(),
    );
  });

  it('makes everything anew that an authority signed, but never the key of service account tokens', async () => {
    await rm(pki.ca.key);
    const changed = await changedByRestart();
    expect(changed).to.include.members(['ca.crt', 'alice.crt', 'kube-apiserver.crt', 'sojourn-proxy.crt']);
    expect(changed).to.not.include.members(['front-proxy-client.crt']);
    expect(changed).to.not.include.members(['sa.key']);
    expect(await changedByRestart()).to.deep.equal([]);
  });
});
