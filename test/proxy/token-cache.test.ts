import { expect } from 'chai';
import { type CryptoKey, exportJWK, generateKeyPair, importJWK } from 'jose';
import { type SigningKey, verifyToken } from '../../apis/wire/token.ts';
import { TokenCache } from '../../proxy/invocation/tokens.ts';

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

  beforeEach(async () => {
    key = await newKey('k1');
    cache = new TokenCache({ currentKey: () => key, now: Date.now });
  });

  it('gives tokens that a daemon of exactly this sandbox accepts', async () => {
    const token = await cache.get(session, alice);
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
    const tokens = await Promise.all(Array.from({ length: 50 }, () => cache.get(session, alice)));
    tokens.push(await cache.get(session, alice));
    expect(new Set(tokens)).to.have.length(1);
  });

  it('keeps users and sessions apart, whatever their names', async () => {
    const tokens = [
      await cache.get(session, alice),
      await cache.get(session, { username: 'alice' }),
      await cache.get(session, { username: 'bob', uid: 'uid-of-alice' }),
      await cache.get({ ...session, uid: 'session-2' }, alice),
      await cache.get({ ...session, uid: 'session-1","alice' }, { username: '' }),
    ];
    expect(new Set(tokens)).to.have.length(5);
  });

  it('signs anew with a new key', async () => {
    const before = await cache.get(session, alice);
    key = await newKey('k2');
    const after = await cache.get(session, alice);
    expect(await verifyToken(after, new Map([['k2', key.publicKey]]), 'team/py-1/pod-1')).to.have.property('username');
    expect(after).not.to.equal(before);
  });

  it('drops the tokens of a session with it, and only those', async () => {
    const own = [await cache.get(session, alice), await cache.get(session, { username: 'bob' })];
    const other = await cache.get({ ...session, uid: 'session-2' }, alice);
    cache.dropSession('session-1');
    expect(await cache.get({ ...session, uid: 'session-2' }, alice)).to.equal(other);
    expect(await cache.get(session, alice)).not.to.equal(own[0]);
    expect(await cache.get(session, { username: 'bob' })).not.to.equal(own[1]);
  });
});
