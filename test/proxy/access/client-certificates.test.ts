import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type TLSSocket } from 'node:tls';
import { expect } from 'chai';
import type { Status } from '../../../apis/machinery/meta.ts';
import { type Credential, createAuthority, issueLeaf } from '../../../hack/cluster/certificates.ts';
import type { RunningProxy } from '../../../proxy/server.ts';
import { useControlPlane, useNamespace } from '../../support/control-plane.ts';
import { type Answer, https } from '../../support/http.ts';
import { untilMayCall } from '../../support/rights.ts';
import { until } from '../../support/until.ts';
import {
  issueChanged,
  issueExpired,
  issueIntermediate,
  issueThrough,
  readCredential,
} from '../support/certificates.ts';
import { startReadyProxy } from '../support/proxy.ts';
import { TestSessions } from '../support/sessions.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const settings = '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication';

describe('client certificates', () => {
  const plane = useControlPlane();
  const namespace = useNamespace(plane);
  let proxy: RunningProxy;
  let upstream: Upstream;
  let serverCa: string;
  let ca: Credential;
  let alice: Credential;
  let bob: Credential;

  before(async () => {
    const { pki } = plane.controlPlane;
    const { name } = namespace;
    upstream = await startUpstream(
      (request, response) => response.end(`answer to ${request.method}`),
      (server) =>
        server.on('upgrade', (_request, socket) => {
          socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tty/1\r\n\r\nhello');
        }),
    );
    const sessions = new TestSessions(plane.client, () => name);
    await sessions.create({ name: 'a', endpoints: [{ pathPrefix: '/', port: upstream.port, protocol: 'HTTP' }] });
    await sessions.makeReady('a');
    const verbs = ['get', 'create'];
    await grant('owner', verbs, ['--user=alice', '--group=red team, 1']);
    await grant('viewer', ['get'], ['--user=bob']);
    for (const user of ['alice', 'bob']) await untilMayCall(plane.client, { user, namespace: name });
    ca = await readCredential(pki.ca);
    alice = await readCredential(pki.alice);
    bob = await readCredential(pki.bob);
    serverCa = ca.cert;
    proxy = await startReadyProxy(plane, [
      '--insecure-http=false',
      ...['--tls-cert-file', pki.sojournProxy.cert, '--tls-private-key-file', pki.sojournProxy.key],
    ]);
  });

  after(async () => {
    await proxy.stop();
    await upstream.stop();
  });

  async function grant(role: string, verbs: string[], subjects: string[]): Promise<void> {
    const where = ['-n', namespace.name];
    await plane.client.request({
      method: 'POST',
      path: `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace.name}/roles`,
      body: { metadata: { name: role }, rules: [{ apiGroups: ['sojourn.dev'], resources: ['sessions/proxy'], verbs }] },
    });
    await plane.kubectl(['create', 'rolebinding', role, ...where, `--role=${role}`, ...subjects]);
  }

  const path = () => `/apis/sojourn.dev/v1alpha1/namespaces/${namespace.name}/sessions/a/proxy/`;

  async function call(
    credential: Partial<Credential>,
    { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
  ): Promise<Answer> {
    return await https({
      url: `https://127.0.0.1:${proxy.port}${path()}`,
      ca: serverCa,
      method,
      headers,
      ...credential,
    });
  }

  async function tokenOf(account: string): Promise<string> {
    await plane.kubectl(['create', 'serviceaccount', account, '-n', namespace.name]);
    return (await plane.kubectl(['create', 'token', account, '-n', namespace.name])).stdout.trim();
  }

  const reasonOf = ({ text }: Answer) => (JSON.parse(text) as Status).reason;

  it('name their user, whose rights are reviewed', async () => {
    expect((await call(alice, { method: 'POST' })).text).to.equal('answer to POST');
    expect((await call(bob)).status).to.equal(200);
    const refused = await call(bob, { method: 'POST' });
    expect(refused.status).to.equal(403);
    expect(refused.text).to.contain('User \\"bob\\" cannot create resource');
  });

  it('name groups, as they were signed', async () => {
    const member = await issueLeaf(ca, {
      commonName: 'carol',
      organizations: ['red team, 1'],
      usages: ['client'],
    });
    expect((await call(member)).status).to.equal(200);
    const forged = await issueLeaf(ca, {
      commonName: 'mallory',
      organizations: ['x\nCN=alice'],
      usages: ['client'],
    });
    const refused = await call(forged);
    expect(refused.status).to.equal(403);
    expect(refused.text).to.contain('User \\"mallory\\" cannot get');
  });

  it('give cluster admins what they may everywhere', async () => {
    expect((await call(await readCredential(plane.controlPlane.pki.admin), { method: 'DELETE' })).status).to.equal(200);
  });

  it('count for nothing when another CA, or the front proxy’s, signed them', async () => {
    const request = { commonName: 'alice', usages: ['client' as const] };
    const authorities = [
      await createAuthority('sojourn-ca'),
      await readCredential(plane.controlPlane.pki.frontProxyCa),
    ];
    for (const authority of authorities) {
      const answer = await call(await issueLeaf(authority, request));
      expect([answer.status, reasonOf(answer)]).to.deep.equal([401, 'Unauthorized']);
    }
  });

  it('count for nothing when they are expired, not yet valid, a server’s, or name nobody or two', async () => {
    const request = { commonName: 'alice', usages: ['client' as const] };
    const future = await issueChanged(ca, request, ({ validity }) => {
      validity.notBefore = new Date(Date.now() + 3_600_000);
    });
    const twoNames = await issueChanged(ca, request, (certificate) => {
      certificate.setSubject(['bob', 'alice'].map((value) => ({ name: 'commonName', value })));
    });
    const unusable = {
      expired: await issueExpired(ca, request),
      future,
      twoNames,
      server: await issueLeaf(ca, { ...request, usages: ['server'] }),
      nobody: await issueLeaf(ca, { commonName: '', organizations: ['system:masters'], usages: ['client'] }),
    };
    for (const [what, credential] of Object.entries(unusable)) {
      expect((await call(credential)).status, what).to.equal(401);
    }
  });

  it('leave it to the token when they do not count, and come first when they do', async () => {
    const other = await issueLeaf(await createAuthority('other'), { commonName: 'alice', usages: ['client'] });
    const headers = { authorization: `Bearer ${await tokenOf('robot')}` };
    const byToken = await call(other, { headers });
    expect(byToken.text).to.contain(`system:serviceaccount:${namespace.name}:robot`);
    expect((await call(alice, { headers })).status).to.equal(200);
    expect((await call(alice, { headers: { authorization: 'Bearer nonsense' } })).status).to.equal(200);
  });

  it('are the only thing that introduces users: headers of a front proxy are not', async () => {
    const headers = { 'x-remote-user': 'alice', 'x-remote-group': 'system:masters' };
    expect((await call({}, { headers })).status).to.equal(401);
    expect((await call(bob, { method: 'POST', headers })).status).to.equal(403);
    const frontProxy = await readCredential(plane.controlPlane.pki.frontProxyClient);
    expect((await call(frontProxy, { headers })).status).to.equal(401);
  });

  it('may come with the authority between, also in a resumed TLS session, which no longer has it', async () => {
    const intermediate = await issueIntermediate(ca, { cA: true });
    const credential = await issueThrough(intermediate, { commonName: 'alice', usages: ['client'] });
    const first = await rawCall(credential);
    expect(first.text).to.match(/^HTTP\/1\.1 200 /);
    const resumed = await rawCall(credential, first.session);
    expect(resumed.reused).to.equal(true);
    expect(resumed.text).to.match(/^HTTP\/1\.1 200 /);
    const pretender = await issueIntermediate(ca, { cA: false });
    expect((await call(await issueThrough(pretender, { commonName: 'alice', usages: ['client'] }))).status).to.equal(
      401,
    );
  });

  it('let an upgrade through for who may create, and nobody else', async () => {
    const headers = ['Connection: Upgrade', 'Upgrade: tty/1'];
    expect((await rawCall(alice, undefined, headers)).text).to.match(/^HTTP\/1\.1 101 .*hello$/s);
    expect((await rawCall(bob, undefined, headers)).text).to.match(/^HTTP\/1\.1 403 /);
  });

  it('hold for every request of an HTTP/2 connection', async () => {
    const client = connectHttp2(`https://127.0.0.1:${proxy.port}`, { ca: serverCa, ...alice });
    try {
      for (const method of ['GET', 'POST', 'GET']) {
        const stream = client.request({ ':path': path(), ':method': method });
        stream.end();
        const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
        expect(headers[':status']).to.equal(200);
        stream.resume();
        await once(stream, 'close');
      }
    } finally {
      client.close();
    }
  });

  it('count from the moment on that kube-apiserver publishes their CA, until it does no more', async () => {
    const authority = await createAuthority('second');
    const credential = await issueLeaf(authority, { commonName: 'alice', usages: ['client'] });
    expect((await call(credential)).status).to.equal(401);
    const client = connectHttp2(`https://127.0.0.1:${proxy.port}`, { ca: serverCa, ...credential });
    const status = async (): Promise<unknown> => {
      const stream = client.request({ ':path': path() });
      const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
      stream.resume();
      return headers[':status'];
    };
    const publish = async (pem: string) => {
      const type = 'application/merge-patch+json';
      await plane.client.request({
        ...{ method: 'PATCH', path: settings, contentType: type },
        body: { data: { 'client-ca-file': pem } },
      });
    };
    try {
      expect(await status()).to.equal(401);
      await publish(ca.cert + authority.cert);
      await until('the new CA to count on the open connection', async () => (await status()) === 200);
      await publish(ca.cert);
      await until('the old CA to count no more', async () => (await status()) === 401);
    } finally {
      client.close();
      await publish(ca.cert);
    }
  });

  it('are checked against --client-ca-file instead, when that is given', async () => {
    const { pki } = plane.controlPlane;
    const own = await startReadyProxy(plane, [
      '--insecure-http=false',
      ...['--tls-cert-file', pki.sojournProxy.cert, '--tls-private-key-file', pki.sojournProxy.key],
      ...['--client-ca-file', pki.frontProxyCa.cert],
    ]);
    try {
      const url = `https://127.0.0.1:${own.port}${path()}`;
      const credential = await issueLeaf(await readCredential(pki.frontProxyCa), {
        ...{ commonName: 'alice', usages: ['client'] },
      });
      expect((await https({ url, ca: serverCa, ...credential })).status).to.equal(200);
      expect((await https({ url, ca: serverCa, ...alice })).status).to.equal(401);
    } finally {
      await own.stop();
    }
  });

  /** One HTTP/1.1 request over a connection of its own, which may resume the session of an earlier one. */
  async function rawCall(
    credential: Credential,
    session?: Buffer,
    headers: string[] = ['Connection: close'],
  ): Promise<{ text: string; reused: boolean; session: Buffer | undefined }> {
    const socket: TLSSocket = connect({
      ...{ port: proxy.port, host: '127.0.0.1', servername: 'localhost', ca: serverCa, ALPNProtocols: ['http/1.1'] },
      ...credential,
      ...(session === undefined ? {} : { session }),
    });
    let ticket: Buffer | undefined;
    let text = '';
    socket.on('session', (given: Buffer) => {
      ticket = given;
    });
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    await once(socket, 'secureConnect');
    const reused = socket.isSessionReused();
    socket.write([`GET ${path()} HTTP/1.1`, 'Host: proxy', ...headers].join('\r\n').concat('\r\n\r\n'));
    await once(socket, 'close');
    return { text, reused, session: ticket };
  }
});
