import { expect } from 'chai';
import { exportJWK, generateKeyPair } from 'jose';
import { importRootKey, verifyKeySet } from '../../../apis/wire/keyset.ts';
import { fingerprintOf } from '../../../apis/wire/trust-anchor.ts';
import type { KeyRing } from '../../../proxy/invocation/keys/key-ring.ts';
import { useControlPlane, useNamespace } from '../../support/control-plane.ts';
import { until } from '../../support/until.ts';
import { Cleanup } from '../support/cleanup.ts';
import { hourMs, KeySecrets, TestRings } from './support/rings.ts';

const signingKeys = 'sojourn-signing-keys';
const minuteMs = 60_000;

const forNewSession = (ring: KeyRing) => ring.forDaemon(fingerprintOf(ring.trustAnchors().rootKey));
const kidOf = (ring: KeyRing) => forNewSession(ring).key.kid;
const versionOf = (ring: KeyRing) => forNewSession(ring).keySet.version;

/** What a daemon that trusts the present root would learn now. */
async function pushedKids(ring: KeyRing): Promise<string[]> {
  const { rootKey } = ring.trustAnchors();
  const set = await verifyKeySet(forNewSession(ring).keySet.jws, await importRootKey(rootKey));
  return [...set.keys.keys()];
}

describe('rotation of the signing keys', () => {
  const plane = useControlPlane();
  const namespace = useNamespace(plane);
  const cleanup = new Cleanup();
  const rings = new TestRings(plane, () => namespace.name, cleanup);
  const secrets = new KeySecrets(plane, () => namespace.name);
  let now = Date.now();
  const clock = () => now;

  afterEach(async () => {
    for (const name of [signingKeys, 'sojourn-root-key', 'sojourn-picod-keys']) await secrets.delete(name);
  });

  it('announces a key before it is used, and drops the old one when none of its tokens lives', async () => {
    const ring = await rings.startLoaded(clock);
    const { keys } = await secrets.read(signingKeys);
    const old = kidOf(ring);
    now += 24 * hourMs - minuteMs;
    await ring.maintain();
    expect((await secrets.read(signingKeys)).keys).to.deep.equal(keys);

    now += minuteMs;
    await ring.maintain();
    const announced = await secrets.until(signingKeys, (document) => document.keys.length === 2);
    const next = announced.keys.find(({ kid }) => kid !== old)?.kid;
    expect(Date.parse(announced.keys[1]?.notBefore ?? '')).to.equal(now + minuteMs);
    await until('the new set', () => versionOf(ring) === announced.version);
    expect(await pushedKids(ring)).to.have.members([old, next]);
    expect(kidOf(ring)).to.equal(old);
    now += minuteMs;
    expect(kidOf(ring)).to.equal(next);

    now += 6 * minuteMs;
    await ring.maintain();
    expect((await secrets.read(signingKeys)).keys).to.have.length(2);
    now += 6_000;
    await ring.maintain();
    const settled = await secrets.until(signingKeys, (document) => document.keys.length === 1);
    expect(settled.keys[0]?.kid).to.equal(next);
    expect(settled.version).to.be.greaterThan(announced.version);
    await until('the last set', () => versionOf(ring) === settled.version);
  });

  it('makes one new key however many processes find it due', async () => {
    const started = await Promise.all([1, 2, 3, 4].map(() => rings.startLoaded(clock)));
    const { version } = await secrets.read(signingKeys);
    now += 25 * hourMs;
    await Promise.all(started.map((ring) => ring.maintain()));
    const document = await secrets.until(signingKeys, ({ keys }) => keys.length === 2);
    expect(document.version).to.equal(version + 1);
    await until('all to know it', () => started.every((ring) => versionOf(ring) === version + 1));
    await Promise.all(started.map((ring) => ring.maintain()));
    expect(await secrets.read(signingKeys)).to.deep.equal(document);
  });

  it('lets a process that has not heard of it sign with the old key, which the new set still holds', async () => {
    const early = await rings.startLoaded(clock);
    const late = await rings.startLoaded(clock);
    const old = kidOf(late);
    await late.stop();
    now += 25 * hourMs;
    await early.maintain();
    await until('the new set', async () => (await pushedKids(early)).length === 2);
    now += 5 * minuteMs;
    expect(kidOf(late)).to.equal(old);
    expect(kidOf(early)).not.to.equal(old);
    await early.maintain();
    expect(await pushedKids(early)).to.include(old);
  });

  it('happens at once when an operator asks for it, and once', async () => {
    const started = await Promise.all([1, 2].map(() => rings.startLoaded(clock)));
    await secrets.askForRotation(signingKeys);
    const document = await secrets.until(signingKeys, ({ keys }) => keys.length === 2);
    expect(await secrets.annotations(signingKeys)).not.to.have.property('sojourn.dev/rotate');
    await until('all to know it', () => started.every((ring) => versionOf(ring) === document.version));
    await Promise.all(started.map((ring) => ring.maintain()));
    expect(await secrets.read(signingKeys)).to.deep.equal(document);
  });

  it('takes over what an operator wrote into the Secret', async () => {
    const ring = await rings.startLoaded(clock);
    const { privateKey } = await generateKeyPair('ES256', { extractable: true });
    const privateJwk = await exportJWK(privateKey);
    const own = { kid: 'own', notBefore: new Date(now - 1000).toISOString(), privateJwk };
    await secrets.edit(signingKeys, ({ version }) => ({ version: version + 1, keys: [own] }));
    await until('the own key', () => kidOf(ring) === 'own');
    expect(await pushedKids(ring)).to.deep.equal(['own']);
  });

  it('gives a set a version of its own when an operator changed the keys alone', async () => {
    const started = await Promise.all([1, 2].map(() => rings.startLoaded(clock)));
    const { privateKey } = await generateKeyPair('ES256', { extractable: true });
    const own = { kid: 'own', notBefore: new Date(now).toISOString(), privateJwk: await exportJWK(privateKey) };
    const { version } = await secrets.read(signingKeys);
    await secrets.edit(signingKeys, ({ keys }) => ({ version, keys: [...keys, own] }));
    const repaired = await secrets.until(signingKeys, (document) => document.version > version);
    expect(repaired.keys.map(({ kid }) => kid)).to.include('own');
    await until('all to follow', () => started.every((ring) => versionOf(ring) === repaired.version));
    await Promise.all(started.map((ring) => ring.maintain()));
    expect((await secrets.read(signingKeys)).version).to.equal(repaired.version);
  });

  it('is what the deletion of the Secret amounts to: keys in use stay, and the version grows', async () => {
    const started = await Promise.all([1, 2, 3].map(() => rings.startLoaded(clock)));
    const [ring = started[0] as KeyRing] = started;
    const before = await secrets.read(signingKeys);
    await secrets.delete(signingKeys);
    const after = await secrets.until(signingKeys, ({ keys }) => keys.length === 2);
    expect(after.version).to.be.greaterThan(before.version);
    expect(after.keys[0]).to.deep.equal(before.keys[0]);
    expect(kidOf(ring)).to.equal(before.keys[0]?.kid);
    await until('all to know it', () => started.every((each) => versionOf(each) === after.version));
  });

  it('gives a Secret back the keys that its creator did not know', async () => {
    const ring = await rings.startLoaded(clock);
    const before = await secrets.read(signingKeys);
    const path = `/api/v1/namespaces/${namespace.name}/secrets`;
    const { privateKey } = await generateKeyPair('ES256', { extractable: true });
    const foreign = { kid: 'f', notBefore: new Date(now).toISOString(), privateJwk: await exportJWK(privateKey) };
    const data = { 'keys.json': Buffer.from(JSON.stringify({ version: 1, keys: [foreign] })).toString('base64') };
    // Whether the ring or this test is first after the deletion, the end must be the same.
    await secrets.delete(signingKeys);
    await plane.client.requestRaw({ method: 'POST', path, body: { metadata: { name: signingKeys }, data } });
    const after = await secrets.until(signingKeys, ({ keys, version }) => {
      return keys.some(({ kid }) => kid === before.keys[0]?.kid) && version > before.version;
    });
    await until('the ring to follow', () => versionOf(ring) === after.version);
  });

  it('numbers a first set higher than any set of a time that nobody remembers', async () => {
    const first = await rings.startLoaded(clock);
    const { version } = await secrets.read(signingKeys);
    await first.stop();
    await secrets.delete(signingKeys);
    now += 2_000;
    const second = await rings.startLoaded(clock);
    expect(versionOf(second)).to.be.greaterThan(version);
  });

  it('comes about although somebody else changed the Secret at that moment', async () => {
    const ring = await rings.startLoaded(clock);
    const { version } = await secrets.read(signingKeys);
    now += 25 * hourMs;
    // Whichever of the two loses, the ring must not give up.
    await Promise.all([secrets.touch(signingKeys), ring.maintain()]);
    await until('the next key', async () => {
      await ring.maintain();
      return (await secrets.read(signingKeys)).version > version;
    });
    expect((await secrets.read(signingKeys)).keys).to.have.length(2);
  });
});
