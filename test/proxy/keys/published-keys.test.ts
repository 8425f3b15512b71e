import { expect } from 'chai';
import { createLocalJWKSet, createRemoteJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { keySetRoute } from '../../../apis/wire/daemon.ts';
import { audienceOf } from '../../../apis/wire/token.ts';
import { Cleanup } from '../support/cleanup.ts';
import { codeOf, exchange, jsonOf } from '../support/raw-client.ts';
import { startUpstream } from '../support/upstream.ts';
import { useKeyedGateway } from './support/keyed-gateway.ts';

describe('the published keys', () => {
  const place = useKeyedGateway();
  const cleanup = new Cleanup();

  /** The token that a program of this kind is shown. */
  async function shownToken(name: string, authMode: 'sojourn' | 'picod'): Promise<string> {
    const tokens: string[] = [];
    const program = cleanup.add(
      await startUpstream((request, response) => {
        if (request.url !== keySetRoute) tokens.push(request.headers.authorization ?? '');
        response.writeHead(204).end();
      }),
    );
    const endpoints = [{ pathPrefix: '/', port: program.port, protocol: 'HTTP' as const }];
    await place.sessions.create({ name, authMode, ...place.gateway.path.keys.trustAnchors(), endpoints });
    await place.sessions.makeReady(name);
    expect(codeOf(await place.gateway.call(place.namespace, name))).to.equal(204);
    expect(tokens[0]).to.match(/^Bearer [\w.-]+$/);
    return tokens[0]?.slice('Bearer '.length) ?? '';
  }

  it('are a JWK Set that anybody may fetch and keep for less time than a new key is announced', async () => {
    const answer = await exchange(
      place.gateway.port,
      'GET /.well-known/jwks.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    );
    expect(answer).to.match(/^HTTP\/1\.1 200 /);
    expect(answer).to.match(/\r\ncontent-type: application\/jwk-set\+json\r\n/i);
    expect(answer).to.match(/\r\ncache-control: public, max-age=30\r\n/i);
    for (const key of jsonOf<JSONWebKeySet>(answer).keys) {
      expect(key).to.include.keys('kid', 'alg', 'use', 'kty');
      expect(key).not.to.have.any.keys('d', 'p', 'q', 'dp', 'dq', 'qi');
    }
  });

  it('verify a token for our daemon', async () => {
    const token = await shownToken('own', 'sojourn');
    const keys = createRemoteJWKSet(new URL(`http://127.0.0.1:${place.gateway.port}/.well-known/jwks.json`));
    const podUid = await place.sessions.podUid('own');
    const { payload, protectedHeader } = await jwtVerify(token, keys, {
      issuer: 'sojourn.dev',
      audience: audienceOf({ namespace: place.namespace, sandbox: 'own', podUid }),
    });
    expect(protectedHeader.alg).to.equal('ES256');
    expect(payload).to.deep.include({ user: { name: 'bob', uid: 'uid-of-bob' } });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).to.equal(300);
  });

  it('verify a token for AgentCube’s PicoD, which has the claims of AgentCube’s Router', async () => {
    const token = await shownToken('cube', 'picod');
    const { payload, protectedHeader } = await jwtVerify(
      token,
      createLocalJWKSet(place.gateway.path.keys.publicKeys()),
    );
    expect(protectedHeader.alg).to.equal('RS256');
    expect(payload).to.include({ iss: 'agentcube-router', session_id: payload.sub });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).to.equal(300);
  });

  it('verify none that was changed', async () => {
    const [header, , signature] = (await shownToken('changed', 'sojourn')).split('.');
    const forged = Buffer.from(JSON.stringify({ sub: 'x', exp: 9_999_999_999 })).toString('base64url');
    const failure = await jwtVerify(
      `${header}.${forged}.${signature}`,
      createLocalJWKSet(place.gateway.path.keys.publicKeys()),
    ).catch((error: { code: string }) => error.code);
    expect(failure).to.equal('ERR_JWS_SIGNATURE_VERIFICATION_FAILED');
  });
});
