import { expect } from 'chai';
import { exportJWK, generateKeyPair } from 'jose';
import { createLog } from '../../apis/runtime/log.ts';
import { importRootKey, verifyKeySet } from '../../apis/wire/keyset.ts';
import { KeyRing } from '../../proxy/invocation/keys.ts';
import { useControlPlane, useNamespace } from '../support/control-plane.ts';
import { until } from '../support/until.ts';
import { Cleanup } from './support/cleanup.ts';

interface Secret {
  metadata: { resourceVersion: string };
  data: Record<string, string>;
}

interface KeyDocument {
  version: number;
  keys: { kid: string; notBefore: string; privateJwk: object }[];
}

describe('signing keys', () => {
  const plane = useControlPlane();
  const cleanup = new Cleanup();
  const lines: string[] = [];

  function startKeyRing(namespace: string, now: () => number = Date.now): KeyRing {
    const log = createLog({ level: 'debug', write: (line) => lines.push(line) });
    const keys = new KeyRing({ client: plane.client, namespace, log, now });
    keys.start();
    return cleanup.add(keys);
  }

  async function startLoadedKeyRing(namespace: string, now?: () => number): Promise<KeyRing> {
    const keys = startKeyRing(namespace, now);
    await until('the keys', () => keys.probe.check() === undefined, { seen: () => keys.probe.check() });
    return keys;
  }

  describe('in an empty namespace', () => {
    const namespace = useNamespace(plane);

    it('are created once, whichever process is first', async () => {
      const rings = await Promise.all([1, 2, 3].map(() => startLoadedKeyRing(namespace.name)));
      expect(new Set(rings.map((ring) => ring.rootPublicKey()))).to.have.length(1);
      expect(new Set(rings.map((ring) => ring.currentKey().kid))).to.have.length(1);
    });

    it('are the same for a process that starts later', async () => {
      const first = await startLoadedKeyRing(namespace.name);
      const root = first.rootPublicKey();
      await first.stop();
      const later = await startLoadedKeyRing(namespace.name);
      expect(later.rootPublicKey()).to.equal(root);
    });

    it('are vouched for by the root', async () => {
      const ring = await startLoadedKeyRing(namespace.name);
      const { version, jws } = ring.keySet();
      const set = await verifyKeySet(jws, await importRootKey(ring.rootPublicKey()));
      expect(set.version).to.equal(version);
      expect([...set.keys.keys()]).to.deep.equal([ring.currentKey().kid]);
      expect(jws).not.to.contain('"d"');
    });

    it('never reach the log', async () => {
      const { data } = await plane.client.request<Secret>({
        path: `/api/v1/namespaces/${namespace.name}/secrets/sojourn-root-key`,
      });
      const pem = Buffer.from(data['private.pem'] ?? '', 'base64').toString();
      const secretLine = pem.split('\n')[1] ?? '';
      expect(secretLine).to.have.length.greaterThan(40);
      expect(lines.join('')).not.to.contain(secretLine);
    });
  });

  describe('that change', () => {
    const namespace = useNamespace(plane);
    const path = () => `/api/v1/namespaces/${namespace.name}/secrets/sojourn-signing-keys`;

    async function edit(change: (document: KeyDocument) => unknown): Promise<void> {
      const secret = await plane.client.request<Secret>({ path: path() });
      const document = JSON.parse(Buffer.from(secret.data['keys.json'] ?? '', 'base64').toString()) as KeyDocument;
      const text = JSON.stringify(change(document));
      const data = { 'keys.json': Buffer.from(text).toString('base64') };
      await plane.client.request({ method: 'PUT', path: path(), body: { ...secret, data } });
    }

    async function newKey(kid: string, notBefore: string): Promise<KeyDocument['keys'][number]> {
      const { privateKey } = await generateKeyPair('ES256', { extractable: true });
      return { kid, notBefore, privateJwk: await exportJWK(privateKey) };
    }

    it('are taken over without a restart: daemons learn a key before anything is signed with it', async () => {
      let now = Date.now();
      const ring = await startLoadedKeyRing(namespace.name, () => now);
      const old = ring.currentKey().kid;
      const start = new Date(now + 3_600_000).toISOString();
      const added = await newKey('next', start);
      await edit(({ version, keys }) => ({ version: version + 1, keys: [added, ...keys] }));
      await until('the new set', () => ring.keySet().version === 2);
      const set = await verifyKeySet(ring.keySet().jws, await importRootKey(ring.rootPublicKey()));
      expect([...set.keys.keys()]).to.have.members([old, 'next']);
      expect(ring.currentKey().kid).to.equal(old);
      now += 3_600_001;
      expect(ring.currentKey().kid).to.equal('next');
    });

    it('stay as they were when somebody spoils the Secret', async () => {
      const ring = await startLoadedKeyRing(namespace.name);
      const { kid } = ring.currentKey();
      const version = ring.keySet().version;
      await edit(() => ({ version: 9, keys: 'gone' }));
      await until('the complaint', () => lines.some((line) => line.includes('keys.json has no keys')));
      expect(ring.currentKey().kid).to.equal(kid);
      expect(ring.keySet().version).to.equal(version);
      expect(ring.probe.check()).to.equal(undefined);
    });

    it('keep a process from being ready that has never had any', async () => {
      const ring = startKeyRing(namespace.name);
      await until('the reason', () => ring.probe.check()?.includes('keys.json has no keys'));
      expect(() => ring.currentKey()).to.throw('the signing keys are not loaded yet');
    });
  });
});
