import { expect } from 'chai';
import { SignJWT } from 'jose';
import { keySetRoute } from '../../apis/wire/daemon.ts';
import { signKeySet } from '../../apis/wire/keyset.ts';
import { signToken } from '../../apis/wire/token.ts';
import { newKeys, newSigningKey, startDaemon, subject, type TestDaemon } from './harness.ts';

describe('a pushed key set', () => {
  let daemon: TestDaemon;
  beforeEach(async () => {
    daemon = await startDaemon({ withoutKeySet: true });
  });
  afterEach(() => daemon.stop());

  const push = async (version: number, keys = [daemon.keys.signingPublic]) =>
    await daemon.pushKeySet(await signKeySet(version, keys, daemon.keys.root));
  const status = async () => (await daemon.request('/api/files?path=.')).status;

  it('is what the daemon knows its callers by', async () => {
    expect(await status()).to.equal(401);
    const answer = await push(1);
    expect(answer.status).to.equal(204);
    expect(answer.text).to.equal('');
    expect(await status()).to.equal(200);
  });

  it('may be pushed again', async () => {
    expect((await push(3)).status).to.equal(204);
    expect((await push(3)).status).to.equal(204);
    expect(await status()).to.equal(200);
  });

  it('never goes back to an older version', async () => {
    const old = daemon.keys.signingPublic;
    const young = await newSigningKey('k2');
    await push(1, [old]);
    await push(2, [young.publicJwk]);
    const answer = await push(1, [old]);
    expect(answer.status).to.equal(409);
    expect(answer.json()).to.include({ code: 409, reason: 'Conflict' });
    expect(await status(), 'the withdrawn key').to.equal(401);
  });

  it('takes a withdrawn key away from tokens that were verified with it', async () => {
    await push(1);
    const token = await daemon.token();
    const withToken = () => daemon.request('/api/files?path=.', { authorization: `Bearer ${token}` });
    expect((await withToken()).status).to.equal(200);
    await push(2, [(await newSigningKey('k2')).publicJwk]);
    const answer = await withToken();
    expect(answer.status).to.equal(401);
    expect(answer.json()).to.include({ reason: 'UnknownKey' });
  });

  it('rotates without a gap: both keys count while both are in the set', async () => {
    const young = await newSigningKey('k2');
    await push(1);
    await push(2, [daemon.keys.signingPublic, young.publicJwk]);
    for (const key of [daemon.keys.signing, young]) {
      const authorization = `Bearer ${await signToken(subject, key, new Date())}`;
      expect((await daemon.request('/api/files?path=.', { authorization })).status).to.equal(200);
    }
  });

  it('counts only with the signature of this root', async () => {
    const stranger = await newKeys();
    const forgeries = [
      await signKeySet(9, [stranger.signingPublic], stranger.root),
      (await signKeySet(9, [stranger.signingPublic], daemon.keys.root)).replace(/\.[^.]+$/, '.AAAA'),
      `${Buffer.from('{"alg":"none","typ":"sojourn-keyset+jws"}').toString('base64url')}.e30.`,
      // A token is signed by the same family of keys and must not pass for a key set.
      await new SignJWT({ version: 9, keys: [] }).setProtectedHeader({ alg: 'ES256' }).sign(daemon.keys.root),
      'garbage',
      '',
    ];
    for (const jws of forgeries) {
      const answer = await daemon.pushKeySet(jws);
      expect(answer.status, jws).to.equal(401);
      expect(answer.json()).to.include({ code: 401, reason: 'Unauthorized' });
    }
    expect((await push(1)).status, 'a forged version 9 did not stick').to.equal(204);
    expect(await status()).to.equal(200);
  });

  it('is refused when it is larger than any key set', async () => {
    const answer = await daemon.request(keySetRoute, { method: 'PUT', body: Buffer.alloc(300 * 1024, 'a') });
    expect(answer.status).to.equal(413);
  });
});
