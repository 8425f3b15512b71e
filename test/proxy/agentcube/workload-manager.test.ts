import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect } from 'node:tls';
import { expect } from 'chai';
import { Registry } from 'prom-client';
import { createLog } from '../../../apis/runtime/log.ts';
import { createRuntime } from '../../../hack/cluster/runtimes.ts';
import type { Caller } from '../../../proxy/access/caller.ts';
import { workloadManagerRoutes } from '../../../proxy/agentcube/workload-manager.ts';
import { controlRoutes } from '../../../proxy/control.ts';
import { Directory } from '../../../proxy/invocation/directory.ts';
import { EndedSessions } from '../../../proxy/invocation/endings/tombstones.ts';
import { defaultLimits, InFlight } from '../../../proxy/invocation/limits.ts';
import { SessionInformer } from '../../../proxy/session-source.ts';
import { CallerSessions } from '../../../proxy/sessions/caller-sessions.ts';
import { SessionIds } from '../../../proxy/sessions/session-ids.ts';
import { echoRuntime } from '../../e2e/support/echo-agent.ts';
import { useCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';
import { type Accounts, AgentCubeClients, jsonOf } from './clients.ts';

interface Created {
  kind: string;
  sessionId: string;
  sandboxId: string;
  sandboxName: string;
  entryPoints: { path: string; protocol: string; endpoint: string }[];
}

describe('AgentCube’s workload manager', () => {
  const env = useCluster();
  const space = env.namespace('manager');
  const clients = new AgentCubeClients(env, () => space.name);
  let tokens: Accounts;

  before(async function () {
    this.timeout(60_000);
    await createRuntime(env.client, space.name, echoRuntime);
    tokens = await clients.accounts();
  });

  const create = (path: string, body: unknown, token: string | undefined = tokens.owner) =>
    clients.call(path, {
      ...(token === undefined ? {} : { token }),
      headers: { 'content-type': 'application/json' },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });

  const remove = (kind: string, id: string, token: string | undefined = tokens.owner) =>
    clients.call(`/v1/${kind}/sessions/${id}`, { method: 'DELETE', ...(token === undefined ? {} : { token }) });

  async function created(): Promise<Created> {
    const answer = await create('/v1/code-interpreter', { name: 'py', namespace: space.name });
    expect(answer.status, answer.text).to.equal(200);
    return jsonOf(answer) as unknown as Created;
  }

  it('creates a session that is ready, and ignores what it does not know', async () => {
    const body = { name: 'py', namespace: space.name, ttl: 1, metadata: { a: 'b' }, kind: 'Other' };
    const answer = await create('/v1/code-interpreter', body);
    expect(answer.status, answer.text).to.equal(200);
    const { kind, sessionId, sandboxId, sandboxName, entryPoints } = jsonOf(answer) as unknown as Created;
    // What is ready is its Pod; the session says so a moment later.
    const session = await until('the session to be ready', async () =>
      (await clients.sessions()).find(
        ({ metadata, status }) => metadata.name === sandboxName && status?.phase === 'Ready',
      ),
    );
    expect([kind, session.metadata.uid]).to.deep.equal(['Sandbox', sessionId]);
    expect(sandboxId).to.match(/^[0-9a-f-]{36}$/);
    const address = session.status?.addresses?.[0] ?? '';
    expect(entryPoints).to.deep.equal([{ path: '/', protocol: 'HTTP', endpoint: `${address}:8080` }]);
    const run = await clients.execute('py', ['echo', 'hi'], { token: tokens.owner, sessionId });
    expect(jsonOf(run)).to.include({ stdout: 'hi\n' });
  });

  it('creates sessions of agents too', async () => {
    const answer = await create('/v1/agent-runtime', { name: 'echo', namespace: space.name });
    const { sessionId } = jsonOf(answer) as unknown as Created;
    const call = await clients.call(`${clients.invocations('agent-runtimes', 'echo')}/x`, {
      token: tokens.owner,
      sessionId,
    });
    expect(jsonOf(call)).to.include({ url: '/x' });
  });

  it('deletes a session, once', async () => {
    const { sessionId, sandboxName } = await created();
    const first = await remove('code-interpreter', sessionId);
    expect([first.status, jsonOf(first)]).to.deep.equal([200, { message: 'Sandbox deleted successfully' }]);
    await until('the session to go', async () =>
      (await clients.sessions()).every(({ metadata }) => metadata.name !== sandboxName),
    );
    const second = await until('the id to be forgotten', async () => {
      const answer = await remove('code-interpreter', sessionId);
      return answer.status === 404 && answer;
    });
    expect(jsonOf(second).message).to.equal(`Session ID ${sessionId} not found, maybe already deleted`);
  });

  it('deletes nothing for who may not, and says only who may see it that it is there', async () => {
    const { sessionId } = await created();
    await env.kubectl([
      ...['create', 'rolebinding', 'watcher', '-n', space.name, '--clusterrole=sojourn-session-viewer'],
      `--serviceaccount=${space.name}:viewer`,
    ]);
    await until(
      'the viewer to see it',
      async () => (await remove('code-interpreter', sessionId, tokens.viewer)).status === 403,
    );
    for (const [kind, id, token] of [
      ['code-interpreter', sessionId, tokens.stranger],
      ['code-interpreter', randomUUID(), tokens.owner],
      ['code-interpreter', 'no-id', tokens.owner],
      ['agent-runtime', sessionId, tokens.owner],
    ] as const) {
      const answer = await remove(kind, id, token);
      const message = `Session ID ${id} not found, maybe already deleted`;
      expect([answer.status, jsonOf(answer).message]).to.deep.equal([404, message]);
    }
    expect((await clients.sessions()).map(({ metadata }) => metadata.uid)).to.include(sessionId);
  });

  it('has AgentCube’s words for what is wrong', async () => {
    const cases: [unknown, number, string][] = [
      ['{', 400, 'Invalid request body'],
      ['[]', 400, 'Invalid request body'],
      [{ name: 'py' }, 400, 'namespace is required'],
      [{ namespace: 'x' }, 400, 'name is required'],
      [{ namespace: '..', name: 'py' }, 400, 'Invalid request body: namespace is not a name of a namespace'],
      [{ namespace: space.name, name: 'absent' }, 404, 'code interpreter not found'],
      [' '.repeat(70_000), 413, 'Invalid request body: the limit is 65536 bytes'],
    ];
    for (const [body, status, message] of cases) {
      const answer = await create('/v1/code-interpreter', body);
      expect([answer.status, jsonOf(answer).message]).to.deep.equal([status, message]);
    }
    const agent = await create('/v1/agent-runtime', { namespace: space.name, name: 'absent' });
    expect(jsonOf(agent).message).to.equal('agent runtime not found');
  });

  it('lets nobody in without a token, and creates only with the right to', async () => {
    const body = { name: 'py', namespace: space.name };
    const nobody = await clients.call('/v1/code-interpreter', { body: JSON.stringify(body) });
    expect([nobody.status, jsonOf(nobody).message]).to.deep.equal([401, 'Missing authorization header']);
    const unknown = await create('/v1/code-interpreter', body, 'nonsense');
    expect([unknown.status, jsonOf(unknown).message]).to.deep.equal([401, 'Invalid or expired token']);
    const stranger = await create('/v1/code-interpreter', body, tokens.stranger);
    expect([stranger.status, jsonOf(stranger).code]).to.deep.equal([403, 'Forbidden']);
    expect(stranger.text).to.contain('cannot create resource \\"sessions\\"');
  });

  describe('a session that does not become ready', () => {
    before(async () => {
      const template = { image: 'registry.example/absent:1' };
      await createRuntime(env.client, space.name, { name: 'stuck', spec: { authMode: 'sojourn', template } });
    });

    const stuck = async () =>
      (await clients.sessions()).filter(
        ({ metadata, spec }) => spec.runtimeRef.name === 'stuck' && metadata.deletionTimestamp === undefined,
      );

    it('is deleted when its client leaves, who could never use it', async () => {
      const { hostname, port, host } = new URL(env.cluster.proxyUrl);
      const socket = connect({ host: hostname, port: Number(port), ca: env.ca, ALPNProtocols: ['http/1.1'] });
      socket.on('error', () => undefined);
      const body = JSON.stringify({ name: 'stuck', namespace: space.name });
      const lines = ['POST /v1/code-interpreter HTTP/1.1', `Host: ${host}`, `Authorization: Bearer ${tokens.owner}`];
      socket.write(`${[...lines, `Content-Length: ${body.length}`, ''].join('\r\n')}\r\n${body}`);
      await until('the session', async () => (await stuck()).length === 1);
      socket.destroy();
      await until('the session to go', async () => (await stuck()).length === 0);
    });

    it('is deleted when its time is over', async () => {
      const log = createLog({ level: 'error' });
      const client = env.asAccount('sojourn-proxy');
      const user = { username: `system:serviceaccount:${space.name}:owner`, groups: [] };
      const caller: Caller = { user, credential: { kind: 'token', token: tokens.owner } };
      const access = { authenticate: async () => caller, authorize: async () => undefined };
      const informer = new SessionInformer({ client, log });
      const ids = new SessionIds(informer);
      const directory = new Directory({
        ...{ client, sandboxes: informer, allowLoopbackPods: true, log },
        ended: new EndedSessions({ client, log }),
        wakeup: { wake: async () => undefined },
      });
      const invocations = { waitUntilReady: directory.waitUntilReady.bind(directory) };
      informer.start();
      directory.start();
      await until('the directory', () => directory.probe.check() === undefined);
      const sessions = new CallerSessions({ client, inFlight: new InFlight(defaultLimits), registry: new Registry() });
      const routes = workloadManagerRoutes({ access, invocations, ids, sessions, ready: [], log, timeoutMs: 500 });
      const control = controlRoutes([routes], log);
      const server = createServer((request, response) => void control(request, response)).listen(0, '127.0.0.1');
      await once(server, 'listening');
      try {
        const { port } = server.address() as AddressInfo;
        const body = JSON.stringify({ name: 'stuck', namespace: space.name });
        const answer = await fetch(`http://127.0.0.1:${port}/v1/code-interpreter`, { method: 'POST', body });
        const said = (await answer.json()) as { message: string };
        expect([answer.status, said.message]).to.deep.equal([504, 'sandbox creation timed out']);
        await until('the session to go', async () => (await stuck()).length === 0);
      } finally {
        server.close();
        ids.stop();
        await directory.stop();
        await informer.stop();
      }
    });
  });

  it('speaks HTTP/2 as well', async () => {
    const session = connectHttp2(env.cluster.proxyUrl, { ca: env.ca });
    try {
      const call = async (headers: Record<string, string>, body?: string) => {
        const stream = session.request(headers);
        stream.end(body);
        const [answer] = (await once(stream, 'response')) as [Record<string, unknown>];
        return { status: answer[':status'], text: await text(stream) };
      };
      const authorization = `Bearer ${tokens.owner}`;
      const body = JSON.stringify({ name: 'py', namespace: space.name });
      const post = { ':method': 'POST', ':path': '/v1/code-interpreter', authorization };
      const answer = await call(post, body);
      expect(answer.status, answer.text).to.equal(200);
      const { sessionId } = JSON.parse(answer.text) as Created;
      const path = `${clients.invocations('code-interpreters', 'py')}/health`;
      const health = await call({ ':path': path, authorization, 'x-agentcube-session-id': sessionId });
      expect(health.status, health.text).to.equal(200);
      const { status } = await call(post, 'x'.repeat(100_000));
      expect(status).to.equal(413);
      const page = await call({ ':path': '/v1/absent' });
      expect([page.status, page.text]).to.deep.equal([404, '404 page not found']);
    } finally {
      session.close();
    }
  });

  it('answers health checks without a token', async () => {
    const health = { '/health': 'healthy', '/health/live': 'alive', '/health/ready': 'ready' };
    for (const [path, status] of Object.entries(health)) {
      const answer = await clients.call(path);
      expect([answer.status, jsonOf(answer)]).to.deep.equal([200, { status }]);
    }
  });
});
