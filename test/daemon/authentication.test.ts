import { createHmac, randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { type JWTPayload, SignJWT } from 'jose';
import { signKeySet } from '../../apis/wire/keyset.ts';
import { audienceOf, type SigningKey, signToken } from '../../apis/wire/token.ts';
import { eventually, newSigningKey, startDaemon, subject, type TestDaemon } from './harness.ts';

/** A token whose header and payload are free to choose. */
function forge(header: object, payload: object, sign: (input: string) => string): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${sign(input)}`;
}

function validPayload(): JWTPayload & { user: object } {
  const now = Math.floor(Date.now() / 1000);
  return {
    iss: 'sojourn.dev',
    sub: subject.sessionUid,
    aud: audienceOf(subject),
    iat: now,
    exp: now + 300,
    user: { name: 'alice' },
  };
}

async function signPayload(payload: JWTPayload, key: SigningKey): Promise<string> {
  return await new SignJWT(payload).setProtectedHeader({ alg: 'ES256', kid: key.kid }).sign(key.privateKey);
}

describe('daemon authentication', () => {
  let daemon: TestDaemon;
  before(async () => {
    daemon = await startDaemon();
  });
  after(() => daemon.stop());

  const listing = '/api/files?path=.';
  const bearer = async (token: string | Promise<string>) =>
    await daemon.request(listing, { authorization: `Bearer ${await token}` });

  it('lets a valid token in', async () => {
    expect((await daemon.request(listing)).status).to.equal(200);
  });

  it('lets in a token of a signer whose clock is a little ahead, and none from the future', async () => {
    const ahead = (seconds: number) => signToken(subject, daemon.keys.signing, new Date(Date.now() + seconds * 1000));
    expect((await bearer(ahead(4))).status).to.equal(200);
    expect((await bearer(ahead(60))).status).to.equal(401);
  });

  const phrases = [
    ['no header', undefined, 'Missing Authorization header'],
    ['an empty header', '', 'Missing Authorization header'],
    ['a bare token', 'abc', 'Invalid Authorization header format'],
    ['another scheme', 'Basic YWxpY2U6c2VjcmV0', 'Invalid Authorization header format'],
    ['two tokens', 'Bearer a.b.c d.e.f', 'Invalid Authorization header format'],
    ['garbage', 'Bearer garbage', 'Invalid token'],
    ['three parts of garbage', 'Bearer a.b.c', 'Invalid token'],
  ] as const;
  for (const [what, authorization, phrase] of phrases) {
    it(`refuses ${what} in PicoD's words`, async () => {
      const answer = await daemon.request(listing, { authorization });
      expect(answer.status).to.equal(401);
      expect(answer.headers['www-authenticate']).to.equal('Bearer');
      const body = answer.json<{ error: string; code: number; reason: string; detail: string }>();
      expect(body).to.include({ error: phrase, code: 401, reason: 'Unauthorized' });
      expect(body.detail).to.be.a('string').and.not.equal('');
    });
  }

  const forgeries: [string, () => string | Promise<string>, number, string][] = [
    [
      'an expired token',
      () => signToken(subject, daemon.keys.signing, new Date(Date.now() - 400_000)),
      401,
      'TokenExpired',
    ],
    [
      'a token for another sandbox',
      () => signToken({ ...subject, sandbox: 'other' }, daemon.keys.signing, new Date()),
      403,
      'WrongSession',
    ],
    [
      'a token for the same name in another namespace',
      () => signToken({ ...subject, namespace: 'other' }, daemon.keys.signing, new Date()),
      403,
      'WrongSession',
    ],
    [
      'a token for an earlier Pod of the same name',
      () => signToken({ ...subject, podUid: 'earlier' }, daemon.keys.signing, new Date()),
      403,
      'WrongSession',
    ],
    [
      'a known key id with a foreign signature',
      async () => await signToken(subject, { ...(await newSigningKey('k1')), kid: 'k1' }, new Date()),
      401,
      'Unauthorized',
    ],
    [
      'an unknown key id',
      async () => await signToken(subject, await newSigningKey('k2'), new Date()),
      401,
      'UnknownKey',
    ],
    ['algorithm none', () => forge({ alg: 'none', kid: 'k1' }, validPayload(), () => ''), 401, 'Unauthorized'],
    [
      'HS256 keyed with the public key',
      () => {
        const secret = JSON.stringify(daemon.keys.signingPublic);
        const sign = (input: string) => createHmac('sha256', secret).update(input).digest('base64url');
        return forge({ alg: 'HS256', kid: 'k1' }, validPayload(), sign);
      },
      401,
      'Unauthorized',
    ],
    [
      'the root key as a signing key',
      () => signToken(subject, { kid: 'k1', privateKey: daemon.keys.root }, new Date()),
      401,
      'Unauthorized',
    ],
    [
      'a key set instead of a token',
      () => signKeySet(9, [daemon.keys.signingPublic], daemon.keys.root),
      401,
      'Unauthorized',
    ],
    [
      'another issuer',
      () => signPayload({ ...validPayload(), iss: 'agentcube-router' }, daemon.keys.signing),
      401,
      'Unauthorized',
    ],
    [
      'an old token that claims a long life',
      () => signPayload({ ...validPayload(), iat: 1, exp: Date.now() / 1000 + 31e6 }, daemon.keys.signing),
      401,
      'TokenExpired',
    ],
    [
      'no expiry',
      () => {
        const { exp: _, ...endless } = validPayload();
        return signPayload(endless, daemon.keys.signing);
      },
      401,
      'Unauthorized',
    ],
  ];
  for (const [what, token, status, reason] of forgeries) {
    it(`refuses ${what}: ${status} ${reason}`, async () => {
      const answer = await bearer(token());
      expect(answer.status).to.equal(status);
      expect(answer.json()).to.include({ code: status, reason });
      expect((await daemon.request(listing)).status, 'the right caller is not shut out').to.equal(200);
    });
  }

  it('serves the first session that comes and no other one', async () => {
    expect((await daemon.request(listing)).status).to.equal(200);
    const other = await bearer(signToken({ ...subject, sessionUid: randomUUID() }, daemon.keys.signing, new Date()));
    expect(other.status).to.equal(403);
    expect(other.json()).to.include({ code: 403, reason: 'WrongSession' });
    const again = await bearer(
      signToken({ ...subject, user: { username: 'another user' } }, daemon.keys.signing, new Date()),
    );
    expect(again.status, 'another user of the same session').to.equal(200);
  });

  it('is not bound by a token that it refused', async () => {
    const fresh = await startDaemon();
    const forged = { ...subject, sessionUid: randomUUID() };
    for (const token of [
      await signToken(forged, await newSigningKey('k1'), new Date()),
      await signToken(forged, fresh.keys.signing, new Date(Date.now() - 400_000)),
      await signToken({ ...forged, sandbox: 'other' }, fresh.keys.signing, new Date()),
    ]) {
      const answer = await fresh.request(listing, { authorization: `Bearer ${token}` });
      expect(answer.status).to.be.oneOf([401, 403]);
    }
    expect((await fresh.request(listing)).status).to.equal(200);
    await fresh.stop();
  });

  it('forgets a token that it has verified when the token ends', async () => {
    const now = Math.floor(Date.now() / 1000);
    const token = await signPayload({ ...validPayload(), iat: now - 200, exp: now + 1 }, daemon.keys.signing);
    expect((await bearer(token)).status).to.equal(200);
    let lastAccepted = 0;
    await eventually('the token is refused', async () => {
      const asked = Date.now();
      const isRefused = (await bearer(token)).status === 401;
      if (!isRefused) lastAccepted = asked;
      return isRefused;
    });
    // Its life, the permitted difference of clocks (5 s), and a second for rounding.
    expect(lastAccepted).to.be.lessThan((now + 7) * 1000);
    expect((await bearer(token)).json()).to.include({ reason: 'TokenExpired' });
  });

  it('needs no token for /health', async () => {
    const answer = await daemon.request('/health', { authorization: undefined });
    expect(answer.status).to.equal(200);
    expect(answer.json()).to.include({ status: 'ok' }).and.to.have.keys('status', 'service', 'version', 'uptime');
  });

  it('does not tell a stranger which paths exist', async () => {
    for (const path of ['/', '/api/files', '/api/nothing', '/health/x', '//health', '/sojourn/v1/keyset']) {
      expect((await daemon.request(path, { authorization: undefined })).status, path).to.equal(401);
    }
  });

  it('writes no token into its log', async () => {
    const token = await daemon.token();
    const logged = () => daemon.log.filter((line) => line.includes('"/api/files"')).length;
    const before = logged();
    await bearer(token);
    await bearer(`${token}x`);
    await eventually('both requests are logged', () => logged() >= before + 2);
    expect(daemon.log.join('')).to.not.include(token.slice(-20)).and.not.include(token.slice(0, 20));
  });
});

describe('a refusal before the body', () => {
  let daemon: TestDaemon;
  before(async () => {
    daemon = await startDaemon();
  });
  after(() => daemon.stop());

  const head = async (headers: string) => {
    const token = await signToken(subject, await newSigningKey('unknown'), new Date());
    return `POST /api/execute HTTP/1.1\r\nHost: d\r\nAuthorization: Bearer ${token}\r\n${headers}\r\n\r\n`;
  };

  it('answers at once and closes the connection when a body was announced', async () => {
    const announcements = [
      'Content-Length: 1000',
      'Transfer-Encoding: chunked',
      'Content-Length: 1000\r\nExpect: 100-continue',
    ];
    const answers = announcements.map(async (headers) => {
      const socket = connect(daemon.port, '127.0.0.1');
      socket.write(await head(headers));
      return await text(socket);
    });
    for (const answer of await Promise.all(answers)) {
      expect(answer).to.match(/^HTTP\/1\.1 401 /);
      expect(answer).to.match(/\r\nConnection: close\r\n/i);
      expect(answer).to.include('"reason":"UnknownKey"');
    }
  });

  it('keeps the connection when no body was announced', async () => {
    const socket = connect(daemon.port, '127.0.0.1');
    const request = 'GET /api/files?path=. HTTP/1.1\r\nHost: d\r\n';
    socket.write(`${request}\r\n${request}Connection: close\r\n\r\n`);
    const answers = await text(socket);
    expect(answers.match(/HTTP\/1\.1 401 /g)).to.have.length(2);
  });
});
