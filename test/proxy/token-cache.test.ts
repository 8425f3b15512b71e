import { expect } from 'chai';
import { type CryptoKey, decodeJwt, exportJWK, generateKeyPair, importJWK } from 'jose';
import { Registry } from 'prom-client';
import { type SigningKey, signToken, verifyToken } from '../../apis/wire/token.ts';
import { CredentialMetrics } from '../../proxy/invocation/token-metrics.ts';
import { TokenCache, type TokenSession, type TokenUser } from '../../proxy/invocation/tokens.ts';

const session = { uid: 'session-1', namespace: 'team', name: 'py-1', podUid: 'pod-1' };
const alice = { username: 'alice', uid: 'uid-of-alice' };

interface Pair extends SigningKey {
  publicKey: CryptoKey;
}

async function newKey(kid: string): Promise<Pair> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  return { kid, privateKey, publicKey: (await importJWK(await exportJWK(publicKey), 'ES256')) as CryptoKey };
}

describe('token cache', () => {
  let key: Pair;
  let cache: TokenCache;
  let now: number;
  let registry: Registry;

  beforeEach(async () => {
    key = await newKey('k1');
    now = Date.now();
    registry = new Registry();
    cache = new TokenCache({ now: () => now, metrics: new CredentialMetrics(registry) });
  });

  const get = (of: TokenSession, user: TokenUser) => cache.get(of, user, { key, sign: signToken });

  it('gives tokens that a daemon of exactly this sandbox accepts', async () => {
    const token = await get(session, alice);
    const keys = new Map([[key.kid, key.publicKey]]);
    expect(await verifyToken(token, keys, 'team/py-1/pod-1')).to.include({
      sessionUid: 'session-1',
      username: 'alice',
      userUid: 'uid-of-alice',
    });
    const failure = await verifyToken(token, keys, 'team/py-1/pod-2').catch(
      (error: { reason: string }) => error.reason,
    );
    expect(failure).to.equal('WrongSession');
  });

  // Two signatures of the same claims differ (ES256 is randomised), so equal tokens are one token.
  it('signs once for many calls at a time and for those that follow', async () => {
    const tokens = await Promise.all(Array.from({ length: 50 }, () => get(session, alice)));
    tokens.push(await get(session, alice));
    expect(new Set(tokens)).to.have.length(1);
  });

  it('keeps users and sessions apart, whatever their names', async () => {
    const tokens = [
      await get(session, alice),
      await get(session, { username: 'alice' }),
      await get(session, { username: 'bob', uid: 'uid-of-alice' }),
      await get({ ...session, uid: 'session-2' }, alice),
      await get({ ...session, uid: 'session-1","alice' }, { username: '' }),
    ];
    expect(new Set(tokens)).to.have.length(5);
  });

  it('uses a token for four fifths of its life', async () => {
    const first = await get(session, alice);
    now += 239_000;
    expect(await get(session, alice)).to.equal(first);
    now += 2_000;
    const second = await get(session, alice);
    expect((decodeJwt(second).exp ?? 0) - (decodeJwt(first).exp ?? 0)).to.equal(241);
  });

  it('signs anew for the next Pod of a session', async () => {
    const first = await get(session, alice);
    const second = await get({ ...session, podUid: 'pod-2' }, alice);
    expect([decodeJwt(first).aud, decodeJwt(second).aud]).to.deep.equal(['team/py-1/pod-1', 'team/py-1/pod-2']);
  });

  it('counts what was there and what was not', async () => {
    for (const user of [alice, alice, { username: 'bob' }, alice]) await get(session, user);
    const metrics = await registry.metrics();
    expect(metrics).to.contain('sojourn_token_cache_requests_total{result="hit"} 2\n');
    expect(metrics).to.contain('sojourn_token_cache_requests_total{result="miss"} 2\n');
  });

  it('does not remember that signing failed', async () => {
    const failing = { key, sign: () => Promise.reject(new Error('no entropy')) };
    const failure = await cache.get(session, alice, failing).catch((error: Error) => error.message);
    expect(failure).to.equal('no entropy');
    expect(decodeJwt(await get(session, alice))).to.have.property('sub', 'session-1');
  });

  it('signs anew with a new key', async () => {
    const before = await get(session, alice);
    key = await newKey('k2');
    const after = await get(session, alice);
    expect(await verifyToken(after, new Map([['k2', key.publicKey]]), 'team/py-1/pod-1')).to.have.property('username');
    expect(after).not.to.equal(before);
  });

  it('drops the tokens of a session with it, and only those', async () => {
    const own = [await get(session, alice), await get(session, { username: 'bob' })];
    const other = await get({ ...session, uid: 'session-2' }, alice);
    cache.dropSession('session-1');
    expect(await get({ ...session, uid: 'session-2' }, alice)).to.equal(other);
    expect(await get(session, alice)).not.to.equal(own[0]);
    expect(await get(session, { username: 'bob' })).not.to.equal(own[1]);
  });
});
