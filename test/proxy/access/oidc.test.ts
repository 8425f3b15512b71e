import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { loadClusterConfig } from '../../../apis/client/kubeconfig.ts';
import { KubeClient } from '../../../apis/client/transport.ts';
import { type ControlPlane, startControlPlane } from '../../../hack/cluster/control-plane.ts';
import { ensurePki } from '../../../hack/cluster/pki.ts';
import type { RunningProxy } from '../../../proxy/server.ts';
import { untilMayCall } from '../../support/rights.ts';
import { until } from '../../support/until.ts';
import { requestText } from '../support/gateway.ts';
import { startReadyProxy } from '../support/proxy.ts';
import { bodyOf, codeOf, exchange } from '../support/raw-client.ts';

const clientId = 'sojourn-users';

describe('users of an OIDC issuer that kube-apiserver trusts', function () {
  this.timeout(180_000);
  let dir: string;
  let issuer: Server;
  let url: string;
  let key: CryptoKey;
  let plane: ControlPlane;
  let client: KubeClient;
  let proxy: RunningProxy;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sojourn-oidc-'));
    const pki = await ensurePki(join(dir, 'pki'));
    const pair = await generateKeyPair('ES256');
    key = pair.privateKey;
    const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'first', alg: 'ES256', use: 'sig' };
    const { cert, key: certKey } = pki.nodeServer;
    issuer = createServer({ cert: await readFile(cert), key: await readFile(certKey) }, (request, response) => {
      const documents: Record<string, object> = {
        '/.well-known/openid-configuration': { issuer: url, jwks_uri: `${url}/keys` },
        '/keys': { keys: [jwk] },
      };
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(documents[request.url ?? ''] ?? {}));
    });
    await once(issuer.listen(0, '127.0.0.1'), 'listening');
    url = `https://127.0.0.1:${(issuer.address() as AddressInfo).port}`;
    plane = await startControlPlane({
      dir,
      report: () => undefined,
      onExit: (exit) => process.stderr.write(`the control plane lost a process: ${JSON.stringify(exit)}\n`),
      apiserverFlags: {
        '--oidc-issuer-url': url,
        '--oidc-ca-file': pki.ca.cert,
        '--oidc-client-id': clientId,
        '--oidc-username-claim': 'email',
        '--oidc-username-prefix': 'oidc:',
        '--oidc-groups-claim': 'teams',
        '--oidc-groups-prefix': 'oidc:',
        '--oidc-signing-algs': 'ES256',
      },
    });
    client = new KubeClient(await loadClusterConfig(plane.kubeconfigs.admin));
    await grant('by-name', ['get'], '--user=oidc:alice@example.com');
    await grant('by-group', ['create'], '--group=oidc:red');
    await untilMayCall(client, { user: 'oidc:alice@example.com', namespace: 'default' });
    await untilMayCall(client, { groups: ['oidc:red'], namespace: 'default', verb: 'create' });
    proxy = await startReadyProxy({ client, controlPlane: plane });
    // kube-apiserver looks for its issuer in the background.
    const token = await sign({ email: 'anybody@example.com' });
    await until('kube-apiserver to know the issuer', async () => (await call(token)).code === 403);
  });

  after(async () => {
    await proxy?.stop();
    await client?.close();
    await plane?.stop();
    issuer?.close();
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  });

  async function grant(name: string, verbs: string[], subject: string): Promise<void> {
    await client.request({
      method: 'POST',
      path: '/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles',
      body: { metadata: { name }, rules: [{ apiGroups: ['sojourn.dev'], resources: ['sessions/proxy'], verbs }] },
    });
    const { code, stderr } = await plane.kubectl(['create', 'rolebinding', name, `--role=${name}`, subject]);
    expect(code, stderr).to.equal(0);
  }

  async function sign(
    claims: JWTPayload,
    { by = key, audience = clientId, expires = '5m' }: { by?: CryptoKey; audience?: string; expires?: string } = {},
  ): Promise<string> {
    return await new SignJWT({ sub: 'u-1', ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: 'first' })
      .setIssuer(url)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime(expires)
      .sign(by);
  }

  async function call(token: string, method = 'GET'): Promise<{ code: number; body: string }> {
    const headers = [`Authorization: Bearer ${token}`];
    const answer = await exchange(proxy.port, requestText('default', 'absent', { method, headers }));
    return { code: codeOf(answer), body: bodyOf(answer) };
  }

  it('have the rights of their name and of their groups', async () => {
    const alice = await sign({ email: 'alice@example.com', teams: ['red', 'blue'] });
    // Not found: they may, but there is no such session.
    expect((await call(alice)).code).to.equal(404);
    expect((await call(alice, 'POST')).code).to.equal(404);
    const refused = await call(alice, 'DELETE');
    expect(refused.code).to.equal(403);
    expect(refused.body).to.contain('User \\"oidc:alice@example.com\\" cannot delete');
    const withoutTeam = await sign({ email: 'alice@example.com' });
    expect((await call(withoutTeam, 'POST')).code).to.equal(403);
  });

  it('are nobody by a token for another client, of another key, or whose time is over', async () => {
    const claims = { email: 'alice@example.com' };
    const { privateKey } = await generateKeyPair('ES256');
    const tokens = [
      await sign(claims, { audience: 'somebody-else' }),
      await sign(claims, { by: privateKey }),
      await sign(claims, { expires: '-1m' }),
      await sign({}),
    ];
    for (const token of tokens) expect((await call(token)).code).to.equal(401);
  });
});
