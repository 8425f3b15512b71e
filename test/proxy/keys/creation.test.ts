import { expect } from 'chai';
import { importRootKey, verifyKeySet } from '../../../apis/wire/keyset.ts';
import { fingerprintOf } from '../../../apis/wire/trust-anchor.ts';
import type { KeyRing } from '../../../proxy/invocation/keys/key-ring.ts';
import { useControlPlane, useNamespace } from '../../support/control-plane.ts';
import { until } from '../../support/until.ts';
import { Cleanup } from '../support/cleanup.ts';
import { KeySecrets, TestRings } from './support/rings.ts';

const kidOf = (ring: KeyRing) => ring.forDaemon(fingerprintOf(ring.trustAnchors().rootKey)).key.kid;

describe('keys', () => {
  const plane = useControlPlane();
  const cleanup = new Cleanup();

  describe('in an empty namespace', () => {
    const namespace = useNamespace(plane);
    const rings = new TestRings(plane, () => namespace.name, cleanup);
    const secrets = new KeySecrets(plane, () => namespace.name);

    it('are created once, whichever process is first', async () => {
      const started = await Promise.all([1, 2, 3].map(() => rings.startLoaded()));
      expect(new Set(started.map((ring) => ring.trustAnchors().rootKey))).to.have.length(1);
      expect(new Set(started.map((ring) => ring.trustAnchors().picodKey))).to.have.length(1);
      expect(new Set(started.map(kidOf))).to.have.length(1);
    });

    it('are the same for a process that starts later', async () => {
      const first = await rings.startLoaded();
      const anchors = first.trustAnchors();
      await first.stop();
      const later = await rings.startLoaded();
      expect(later.trustAnchors()).to.deep.equal(anchors);
    });

    it('are vouched for by the root', async () => {
      const ring = await rings.startLoaded();
      const { rootKey } = ring.trustAnchors();
      const { keySet, key } = ring.forDaemon(fingerprintOf(rootKey));
      const set = await verifyKeySet(keySet.jws, await importRootKey(rootKey));
      expect(set.version).to.equal(keySet.version);
      expect([...set.keys.keys()]).to.deep.equal([key.kid]);
    });

    it('show their public halves alone in key sets and in the published keys', async () => {
      const ring = await rings.startLoaded();
      const { keySet } = ring.forDaemon(fingerprintOf(ring.trustAnchors().rootKey));
      const payload = Buffer.from(keySet.jws.split('.')[1] ?? '', 'base64url').toString();
      for (const text of [payload, JSON.stringify(ring.publicKeys())]) {
        expect(text).to.contain('"kid"');
        expect(text).not.to.match(/"(d|p|q|dp|dq|qi)"/);
      }
    });

    it('are refused to a sandbox that trusts nobody known', async () => {
      const ring = await rings.startLoaded();
      expect(() => ring.forDaemon(fingerprintOf('another root'))).to.throw('sojourn-root-key');
      expect(() => ring.forPicod(undefined)).to.throw('sojourn-picod-keys');
    });

    it('never reach the log', async () => {
      for (const name of ['sojourn-root-key', 'sojourn-signing-keys', 'sojourn-picod-keys']) {
        const { keys } = await secrets.read(name);
        const { d = '' } = (keys[0]?.privateJwk ?? {}) as { d?: string };
        expect(d).to.have.length.greaterThan(40);
        expect(rings.lines.join('')).not.to.contain(d);
      }
    });
  });

  describe('in a spoilt Secret', () => {
    const namespace = useNamespace(plane);
    const rings = new TestRings(plane, () => namespace.name, cleanup);
    const secrets = new KeySecrets(plane, () => namespace.name);

    it('stay as they were for those who knew them', async () => {
      const ring = await rings.startLoaded();
      const kid = kidOf(ring);
      await secrets.edit('sojourn-signing-keys', () => ({ version: 9_999_999_999, keys: 'gone' }));
      await until('the complaint', () => rings.lines.some((line) => line.includes('keys.json has no keys')));
      await ring.maintain();
      expect(kidOf(ring)).to.equal(kid);
      expect(ring.probe.check()).to.equal(undefined);
    });

    it('keep a process from being ready that has never had any, until the Secret is deleted', async () => {
      const ring = rings.start();
      await until('the reason', () => ring.probe.check()?.includes('keys.json has no keys'));
      expect(() => ring.trustAnchors()).to.throw('the signing keys are not loaded yet');
      await secrets.delete('sojourn-signing-keys');
      await until('the keys', () => ring.probe.check() === undefined, { seen: () => ring.probe.check() });
    });

    it('are not quoted in the complaint', async () => {
      await rings.startLoaded();
      await secrets.edit('sojourn-root-key', ({ version, keys }) => ({
        version: version + 1,
        keys: keys.map((key) => ({ ...key, privateJwk: { kty: 'EC', crv: 'P-256', d: 'almost-a-secret' } })),
      }));
      await until('the complaint', () => rings.lines.some((line) => line.includes('has no privateJwk for ES256')));
      expect(rings.lines.join('')).not.to.contain('almost-a-secret');
    });
  });
});
