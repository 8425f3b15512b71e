import { expect } from 'chai';
import { KubeClient } from '../../apis/client/transport.ts';
import { ApiError } from '../../apis/machinery/errors.ts';
import { accountUser } from '../../hack/cluster/session-users.ts';
import { TokenAuthenticator } from '../../proxy/access/authenticate.ts';
import { Authorizer } from '../../proxy/access/authorize.ts';
import type { RunningProxy } from '../../proxy/server.ts';
import { useControlPlane, useNamespace } from '../support/control-plane.ts';
import { untilMayCall } from '../support/rights.ts';
import { until } from '../support/until.ts';
import { type CallOptions, requestText } from './support/gateway.ts';
import { startReadyProxy } from './support/proxy.ts';
import { codeOf, exchange, jsonOf } from './support/raw-client.ts';
import { TestSessions } from './support/sessions.ts';
import { startUpstream, type Upstream } from './support/upstream.ts';

interface StatusBody {
  kind: string;
  reason: string;
  message: string;
  code: number;
  details?: Record<string, unknown>;
}

describe('access', () => {
  const plane = useControlPlane();
  const namespace = useNamespace(plane);
  let proxy: RunningProxy;
  let upstream: Upstream;
  let owner: string;
  let viewer: string;
  let stranger: string;

  before(async () => {
    const { name } = namespace;
    upstream = await startUpstream((request, response) =>
      response.end(request.url === '/headers' ? JSON.stringify(request.headers) : `answer to ${request.method}`),
    );
    const sessions = new TestSessions(plane.client, () => name);
    await sessions.create({ name: 'a', endpoints: [{ pathPrefix: '/', port: upstream.port, protocol: 'HTTP' }] });
    await sessions.makeReady('a');
    await createRole('owner', ['get', 'create', 'update', 'patch', 'delete']);
    await createRole('viewer', ['get']);
    [owner, viewer, stranger] = (await Promise.all(['owner', 'viewer', 'stranger'].map(tokenOf))) as [
      string,
      string,
      string,
    ];
    await bind('owner');
    await bind('viewer');
    proxy = await startReadyProxy(plane);
  });

  after(async () => {
    await proxy.stop();
    await upstream.stop();
  });

  async function createRole(name: string, verbs: string[]): Promise<void> {
    await plane.client.request({
      method: 'POST',
      path: `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace.name}/roles`,
      body: { metadata: { name }, rules: [{ apiGroups: ['sojourn.dev'], resources: ['sessions/proxy'], verbs }] },
    });
  }

  async function tokenOf(account: string): Promise<string> {
    await plane.kubectl(['create', 'serviceaccount', account, '-n', namespace.name]);
    return (await plane.kubectl(['create', 'token', account, '-n', namespace.name])).stdout.trim();
  }

  async function bind(name: string): Promise<void> {
    const account = `--serviceaccount=${namespace.name}:${name}`;
    await plane.kubectl(['create', 'rolebinding', name, '-n', namespace.name, `--role=${name}`, account]);
    await untilMayCall(plane.client, { user: accountUser(namespace.name, name), namespace: namespace.name });
  }

  async function call(token: string | undefined, options: CallOptions = {}, session = 'a'): Promise<string> {
    const headers = token === undefined ? [] : [`Authorization: Bearer ${token}`];
    const text = requestText(namespace.name, session, {
      ...options,
      headers: [...headers, ...(options.headers ?? [])],
    });
    return await exchange(proxy.port, text);
  }

  const refusal = (session: string, account: string, verb: string) =>
    `sessions.sojourn.dev "${session}" is forbidden: User "system:serviceaccount:${namespace.name}:${account}" cannot ` +
    `${verb} resource "sessions/proxy" in API group "sojourn.dev" in the namespace "${namespace.name}"`;

  it('lets who may do everything do everything', async () => {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      expect(await call(owner, { method }), method).to.match(new RegExp(`^HTTP/1\\.1 200 .*answer to ${method}$`, 's'));
    }
    expect(codeOf(await call(owner, { method: 'HEAD' }))).to.equal(200);
  });

  it('lets who may read do nothing else', async () => {
    expect(codeOf(await call(viewer))).to.equal(200);
    for (const [method, verb] of Object.entries({ POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' })) {
      expect(jsonOf<StatusBody>(await call(viewer, { method }))).to.deep.include({
        kind: 'Status',
        reason: 'Forbidden',
        code: 403,
        message: refusal('a', 'viewer', verb),
        details: { name: 'a', group: 'sojourn.dev', kind: 'sessions' },
      });
    }
  });

  it('takes an upgrade for a create, whatever its method', async () => {
    const headers = [`Authorization: Bearer ${viewer}`, 'Upgrade: tty/1'];
    const text = requestText(namespace.name, 'a', { headers }).replace('Connection: close', 'Connection: Upgrade');
    const answer = await exchange(proxy.port, text);
    expect(jsonOf<StatusBody>(answer)).to.include({ code: 403, message: refusal('a', 'viewer', 'create') });
  });

  it('tells who may not, nothing about what there is', async () => {
    for (const session of ['a', 'absent']) {
      const answer = await call(stranger, {}, session);
      expect(jsonOf<StatusBody>(answer)).to.include({ code: 403, message: refusal(session, 'stranger', 'get') });
      expect(answer).not.to.match(/x-agentcube-session-id/i);
    }
    expect(jsonOf<StatusBody>(await call(owner, {}, 'absent'))).to.include({ code: 404, reason: 'NotFound' });
  });

  it('names the session to who may', async () => {
    expect(await call(owner)).to.match(/\r\nx-agentcube-session-id: [0-9a-f-]{36}\r\n/);
  });

  it('asks for credentials where there are none, or none that count', async () => {
    const withoutCredential = [
      await call(undefined),
      await call('not-a-token'),
      await call(`${owner}x`),
      await call(owner, { headers: [`Authorization: Bearer ${owner}`] }),
      await call(undefined, { headers: ['Authorization: Basic eDp5'] }),
      await call(undefined, { headers: ['X-Remote-User: admin', 'X-Remote-Group: system:masters'] }),
      await call(undefined, { target: `/?access_token=${owner}` }),
    ];
    for (const answer of withoutCredential) {
      expect(jsonOf<StatusBody>(answer)).to.include({ kind: 'Status', reason: 'Unauthorized', code: 401 });
      expect(answer).to.match(/\r\nwww-authenticate: Bearer\r\n/i);
    }
  });

  it('knows a right seconds after it was given', async () => {
    const token = await tokenOf('late');
    expect(codeOf(await call(token))).to.equal(403);
    const account = `--serviceaccount=${namespace.name}:late`;
    await plane.kubectl(['create', 'rolebinding', 'late', '-n', namespace.name, '--role=viewer', account]);
    await until('the right to count', async () => codeOf(await call(token)) === 200);
  });

  it('answers methods that no right stands for with 405', async () => {
    for (const method of ['OPTIONS', 'TRACE', 'PROPFIND']) {
      expect(jsonOf<StatusBody>(await call(owner, { method })), method).to.include({ reason: 'MethodNotAllowed' });
    }
  });

  it('costs kube-apiserver nothing once it is known who may', async () => {
    const kinds = ['tokenreviews', 'subjectaccessreviews', 'pods', 'sandboxes'];
    const requests = async () => {
      const metrics = (await plane.client.requestRaw({ path: '/metrics' })).body.toString();
      return kinds.map((kind) => {
        const lines = metrics.matchAll(
          new RegExp(`^apiserver_request_total\\{.*resource="${kind}".*\\} (\\d+)$`, 'gm'),
        );
        return [...lines].reduce((total, [, count]) => total + Number(count), 0);
      });
    };
    await call(owner, { method: 'POST' });
    const before = await requests();
    for (let turn = 0; turn < 50; turn += 1) {
      await Promise.all(Array.from({ length: 20 }, () => call(owner, { method: 'POST' })));
    }
    const after = await requests();
    // Other parts of a cluster in this run may review something of their own meanwhile, and clear up after other suites.
    for (const [i, kind] of kinds.entries()) expect((after[i] ?? 0) - (before[i] ?? 0), kind).to.be.lessThan(500);
    const metrics = await (await fetch(`http://127.0.0.1:${proxy.operationsPort}/metrics`)).text();
    for (const review of ['token', 'subject_access']) {
      const hits = new RegExp(`^sojourn_access_reviews_total\\{review="${review}",cache="hit"\\} (\\d+)$`, 'm').exec(
        metrics,
      );
      // Each 9 s a verdict runs out; then those calls of a turn miss it that come until the next one is there.
      expect(Number(hits?.[1]), review).to.be.at.least(850);
    }
  });

  it('lets nobody pass while nobody can be asked', async () => {
    const nowhere = new KubeClient({ server: 'https://127.0.0.1:1' });
    try {
      const user = { username: 'alice', groups: ['system:masters'] };
      const attributes = { verb: 'get', group: 'sojourn.dev', version: 'v1alpha1', resource: 'sessions' };
      const failures = await Promise.allSettled([
        new TokenAuthenticator({ client: nowhere }).authenticate('x', '127.0.0.1'),
        new Authorizer(nowhere).authorize(user, attributes),
      ]);
      for (const failure of failures) {
        const error: unknown = failure.status === 'rejected' ? failure.reason : undefined;
        expect(error).to.be.instanceOf(ApiError).and.to.include({ reason: 'ServiceUnavailable', code: 503 });
      }
    } finally {
      await nowhere.close();
    }
  });

  it('needs no credentials from this machine with --auth=none, says so all the time, and is open to nobody else', async () => {
    const open = await startReadyProxy(plane, ['--auth', 'none']);
    try {
      const answer = await exchange(open.port, requestText(namespace.name, 'a', { method: 'POST' }));
      expect(answer).to.match(/answer to POST$/);
      const ready = await fetch(`http://127.0.0.1:${open.operationsPort}/readyz?verbose`);
      expect(await ready.text()).to.contain('AUTHENTICATION-IS-OFF');
      for (const address of ['0.0.0.0', '::', '10.0.0.1', '::ffff:10.0.0.1', 'localhost', '127.1', '']) {
        const everywhere = startReadyProxy(plane, ['--auth', 'none', '--listen-address', address]);
        const refusal = await everywhere.then(
          async (started) => {
            await started.stop();
            return 'none';
          },
          (error: Error) => error.message,
        );
        expect(refusal, address).to.contain('--auth=none needs a loopback --listen-address');
      }
    } finally {
      await open.stop();
    }
  });

  it('keeps pages of the web out of --auth=none', async () => {
    const open = await startReadyProxy(plane, ['--auth', 'none']);
    try {
      const text = (host: string, headers: string[] = []) =>
        requestText(namespace.name, 'a', { method: 'POST', headers }).replace('Host: proxy', `Host: ${host}`);
      for (const request of [
        text('localhost:8443', ['Origin: https://evil.example']),
        text('localhost:8443', ['Origin: null']),
        text('127.0.0.1', ['Sec-Fetch-Site: cross-site']),
        text('rebound.evil.example:8443'),
        text('127.0.0.1.evil.example'),
      ]) {
        expect(jsonOf<StatusBody>(await exchange(open.port, request))).to.include({ code: 403, reason: 'Forbidden' });
      }
      for (const request of [
        text('localhost:8443', ['Origin: http://localhost:3000']),
        text('[::1]:8443', ['Origin: http://127.0.0.1']),
      ]) {
        expect(codeOf(await exchange(open.port, request))).to.equal(200);
      }
    } finally {
      await open.stop();
    }
  });

  it('keeps an assertion of another user from the sandbox, and takes it from nobody', async () => {
    const header = 'Sojourn-On-Behalf-Of: {"username":"admin","groups":["system:masters"]}';
    expect(codeOf(await call(stranger, { headers: [header] }))).to.equal(403);
    const answer = await call(owner, { headers: [header, 'X-Seen: yes'], target: '/headers' });
    expect(answer)
      .to.contain('x-seen')
      .and.not.match(/on-behalf-of/i);
  });
});
