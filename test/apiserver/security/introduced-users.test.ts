import { expect } from 'chai';
import forge from 'node-forge';
import { readRequestHeaderConfig } from '../../../apiserver/authentication/request-header-config.ts';
import { createAuthority, issueLeaf } from '../../../hack/cluster/certificates.ts';
import { issueChanged, issueExpired } from '../../proxy/support/certificates.ts';
import { type Introductions, published, startIntroductions } from './support/introductions.ts';

/** Bytes of UTF-8 as they are on the wire of HTTP/1.1. */
const onTheWire = (text: string) => Buffer.from(text).toString('latin1');
const user = (name: string) => ['X-Remote-User', onTheWire(name)];

describe('whom a front proxy introduces', () => {
  let introductions: Introductions;
  before(async () => {
    introductions = await startIntroductions();
  });
  afterEach(() => introductions.publish({}));
  after(() => introductions.stop());

  const ask = (rawHeaders: readonly string[]) => introductions.ask(introductions.frontProxy, rawHeaders);

  it('forged identity headers without any certificate: nobody', async () => {
    expect(await introductions.ask({}, [...user('admin'), 'X-Remote-Group', 'system:masters'])).to.equal(401);
  });

  it('certificate of another CA, of another name, of two names, expired, or a server’s: nobody', async () => {
    const { frontProxyCa } = introductions;
    const named = { commonName: 'front-proxy-client', usages: ['client' as const] };
    const other = await createAuthority('front-proxy-ca');
    const certificates = {
      'of another CA of the same name': await issueLeaf(other, named),
      'of another name': await issueLeaf(frontProxyCa, { ...named, commonName: 'kubelet' }),
      'of two names': await issueChanged(frontProxyCa, named, (certificate) => {
        certificate.setSubject([
          { name: 'commonName', value: 'kubelet' },
          { name: 'commonName', value: 'front-proxy-client' },
        ]);
      }),
      expired: await issueExpired(frontProxyCa, named),
      'a server’s': await issueLeaf(frontProxyCa, { ...named, usages: ['server'] }),
    };
    for (const [what, certificate] of Object.entries(certificates)) {
      expect(await introductions.ask(certificate, user('admin')), what).to.equal(401);
    }
    expect(await ask(user('admin'))).to.deep.include({ username: 'admin' });
  });

  describe('empty allowed names', () => {
    const settings = { allowSharedCa: false };
    const anyName = { 'requestheader-allowed-names': '[]' };

    it('mean any certificate of a CA that is the front proxy’s own', async () => {
      introductions.publish({ ...anyName, 'client-ca-file': (await createAuthority('clients')).cert });
      const kubelet = await issueLeaf(introductions.frontProxyCa, { commonName: 'kubelet', usages: ['client'] });
      expect(await introductions.ask(kubelet, user('admin'))).to.deep.include({ username: 'admin' });
    });

    it('are refused, and everybody with them, where that CA is the clients’', async () => {
      const clients = introductions.frontProxyCa.cert;
      introductions.publish({ ...anyName, 'client-ca-file': clients });
      expect(await ask(user('admin'))).to.equal(503);
      const data = {
        ...published(clients),
        ...anyName,
        'client-ca-file': `${(await createAuthority('x')).cert}${clients}`,
      };
      const read = readRequestHeaderConfig(data, settings);
      expect(read).to.have.property('problem').that.contains('any client of the cluster could say it is anybody');
      expect(read).to.have.property('problem').that.contains('--allow-shared-front-proxy-ca');
      expect(readRequestHeaderConfig(data, { allowSharedCa: true })).to.have.property('config');
    });

    it('are refused also where the shared CA’s certificate was made anew with the same key', async () => {
      const { frontProxyCa } = introductions;
      const again = await issueChanged(frontProxyCa, { commonName: 'again', usages: ['client'] }, (certificate) => {
        certificate.publicKey = forge.pki.certificateFromPem(frontProxyCa.cert).publicKey;
        certificate.setExtensions([{ name: 'basicConstraints', cA: true }]);
      });
      const data = { ...published(frontProxyCa.cert), ...anyName, 'client-ca-file': again.cert };
      expect(readRequestHeaderConfig(data, settings)).to.have.property('problem');
    });

    it('do not matter where names are asked for, as kubeadm’s are', () => {
      const { cert } = introductions.frontProxyCa;
      expect(readRequestHeaderConfig({ ...published(cert), 'client-ca-file': cert }, settings)).to.have.property(
        'config',
      );
    });
  });

  it('settings that cannot be read: none', () => {
    const { cert } = introductions.frontProxyCa;
    for (const data of [
      {},
      { ...published(cert), 'requestheader-client-ca-file': '' },
      { ...published(cert), 'requestheader-allowed-names': '[' },
      {
        ...published(cert),
        'requestheader-client-ca-file': '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----',
      },
    ]) {
      expect(readRequestHeaderConfig(data, { allowSharedCa: false })).to.have.property('problem');
    }
  });

  it('X-Remote-Uid through a kube-apiserver that does not list it: no uid', async () => {
    const headers = [...user('alice'), 'X-Remote-Uid', 'forged'];
    expect(await ask(headers)).to.deep.include({ uid: 'forged' });
    introductions.publish({ 'requestheader-uid-headers': '[]' });
    expect(await ask(headers)).not.to.have.property('uid');
    const { 'requestheader-uid-headers': _uid, ...older } = published(introductions.frontProxyCa.cert);
    const read = readRequestHeaderConfig(older, { allowSharedCa: false });
    expect(read).to.have.nested.property('config.uidHeaders').that.deep.equals([]);
  });

  it('names smuggled in commas and in repeated headers: one value for each line, and one user only', async () => {
    expect(await ask([...user('mallory'), 'X-Remote-Group', 'a, system:masters'])).to.deep.include({
      groups: ['a, system:masters', 'system:authenticated'],
    });
    expect(await ask([...user('bob, admin')])).to.deep.include({ username: 'bob, admin' });
    expect(await ask([...user('bob'), ...user('admin')])).to.equal(401);
    expect(await ask([...user('bob'), 'X-Remote-Uid', '1', 'X-Remote-Uid', '2'])).to.equal(401);
    expect(await ask(['X-Remote-Group', 'system:masters'])).to.equal(401);
    expect(await ask([...user(''), 'X-Remote-Group', 'system:masters'])).to.equal(401);
  });

  it('names that two readers could read differently: nobody', async () => {
    for (const bytes of ['a\u00ff', '\u00c3', 'a\tb', '\u00ed\u00a0\u0080']) {
      expect(await ask(['X-Remote-User', bytes]), JSON.stringify(bytes)).to.equal(401);
      expect(await ask([...user('bob'), 'X-Remote-Group', bytes]), JSON.stringify(bytes)).to.equal(401);
    }
  });

  it('names beyond ASCII, and a byte order mark, are what they are', async () => {
    for (const name of ['alïce', '愛莉絲', '\ufeffbob', 'İ'])
      expect(await ask(user(name))).to.deep.include({ username: name });
    const connection = introductions.open(introductions.frontProxy);
    expect(await connection.ask({ 'x-remote-user': onTheWire('alïce') })).to.deep.include({ username: 'alïce' });
    connection.close();
  });

  it('extra: keys are decoded, values kept apart, and no key is a prototype’s', async () => {
    const credential = 'X-Remote-Extra-Authentication.kubernetes.io%2fcredential-Id';
    const introduced = await ask([
      ...user('alice'),
      ...[credential, 'one, two', credential.toLowerCase(), 'three', 'X-Remote-Extra-%zz', 'raw'],
      ...['X-Remote-Extra-__proto__', 'x', 'X-Remote-Extra-constructor', 'y'],
    ]);
    expect((introduced as { extra: object }).extra).to.deep.equal(
      JSON.parse(
        '{"authentication.kubernetes.io/credential-id":["one, two","three"],"%zz":["raw"],"__proto__":["x"],"constructor":["y"]}',
      ),
    );
    expect(({} as { x?: unknown }).x).to.equal(undefined);
  });

  it('identity headers nominated by Connection: they count as ever, so nobody becomes another by dropping them', async () => {
    const nominated = ['Connection', 'close, X-Remote-User, X-Remote-Group'];
    const introduced = await ask([...nominated, ...user('bob'), 'X-Remote-Group', 'team']);
    expect(introduced).to.deep.include({ username: 'bob', groups: ['team', 'system:authenticated'] });
  });

  it('a rotated front-proxy CA: open connections of the old one end to count, those of the new one begin to', async () => {
    const next = await createAuthority('front-proxy-ca-2');
    const renewed = await issueLeaf(next, { commonName: 'front-proxy-client', usages: ['client'] });
    const old = introductions.open(introductions.frontProxy);
    const fresh = introductions.open(renewed);
    const asBob = { 'x-remote-user': 'bob' };
    const verdicts = async () => [typeof (await old.ask(asBob)), typeof (await fresh.ask(asBob))];
    expect(await verdicts()).to.deep.equal(['object', 'number']);
    const both = introductions.frontProxyCa.cert + next.cert;
    introductions.publish({ 'requestheader-client-ca-file': both });
    expect(await verdicts()).to.deep.equal(['object', 'object']);
    introductions.publish({ 'requestheader-client-ca-file': next.cert });
    expect(await verdicts()).to.deep.equal(['number', 'object']);
    old.close();
    fresh.close();
  });
});
