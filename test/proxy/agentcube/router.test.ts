import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:tls';
import { expect } from 'chai';
import { createRuntime } from '../../../hack/cluster/runtimes.ts';
import { accountUser } from '../../../hack/cluster/session-users.ts';
import { echoRuntime } from '../../e2e/support/echo-agent.ts';
import { useCluster } from '../../support/cluster.ts';
import { https } from '../../support/http.ts';
import { untilMayCall } from '../../support/rights.ts';
import { until } from '../../support/until.ts';
import { type Accounts, AgentCubeClients, jsonOf, sessionIdOf } from './clients.ts';

describe('AgentCube’s router', () => {
  const env = useCluster();
  const space = env.namespace('router');
  const elsewhere = env.namespace('elsewhere');
  const clients = new AgentCubeClients(env, () => space.name);
  let tokens: Accounts;
  let sessionId = '';
  const py = () => clients.invocations('code-interpreters', 'py');
  const echo = () => clients.invocations('agent-runtimes', 'echo');

  before(async function () {
    this.timeout(60_000);
    await createRuntime(env.client, space.name, echoRuntime);
    tokens = await clients.accounts();
    const first = await clients.execute('py', ['echo', 'hello'], { token: tokens.owner });
    expect(first.status, first.text).to.equal(200);
    expect(jsonOf(first)).to.include({ stdout: 'hello\n', exit_code: 0 });
    sessionId = sessionIdOf(first) ?? '';
  });

  it('creates a session for the first call, as the caller and named after the runtime', async () => {
    const session = (await clients.sessions()).find(({ metadata }) => metadata.uid === sessionId);
    expect(session?.metadata.name).to.match(/^py-.+/);
    expect(session?.spec.runtimeRef).to.deep.equal({ kind: 'CodeInterpreter', name: 'py' });
    expect(session?.status?.user?.username).to.equal(`system:serviceaccount:${space.name}:owner`);
  });

  it('uses the same session as long as it is named', async () => {
    const call = { token: tokens.owner, sessionId };
    const body = JSON.stringify({ path: 'kept.txt', content: Buffer.from('42').toString('base64') });
    const headers = { 'content-type': 'application/json' };
    const written = await clients.call(`${py()}/api/files`, { ...call, body, headers });
    expect(written.status, written.text).to.equal(200);
    const read = await clients.call(`${py()}/api/files/kept.txt`, call);
    expect([read.status, read.text, sessionIdOf(read)]).to.deep.equal([200, '42', sessionId]);
  });

  it('names the session also on the sandbox’s own errors', async () => {
    const absent = await clients.call(`${py()}/api/files/absent`, { token: tokens.owner, sessionId });
    expect([absent.status, sessionIdOf(absent)]).to.deep.equal([404, sessionId]);
  });

  it('names the session it has created also on its own errors, so that nothing leaks', async () => {
    const answer = await clients.call(`${clients.invocations('code-interpreters', 'none')}/x`, { token: tokens.owner });
    expect(answer.status, answer.text).to.be.oneOf([502, 503]);
    expect((await clients.sessions()).map(({ metadata }) => metadata.uid)).to.include(sessionIdOf(answer));
  });

  it('makes a session for each of several first calls at once', async () => {
    const calls = [1, 2, 3].map(async () => await clients.execute('py', ['pwd'], { token: tokens.owner }));
    const answers = await Promise.all(calls);
    expect(answers.map(({ status }) => status)).to.deep.equal([200, 200, 200]);
    expect(new Set(answers.map(sessionIdOf)).size).to.equal(3);
  });

  it('serves every method, with the rest of the path as it was written', async () => {
    const first = await clients.call(`${echo()}`, { token: tokens.owner });
    expect(jsonOf(first)).to.include({ method: 'GET', url: '/' });
    const id = sessionIdOf(first) ?? '';
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      const answer = await clients.call(`${echo()}/a%2Fb/../c?y=2&x=1`, { token: tokens.owner, sessionId: id, method });
      expect(jsonOf(answer), method).to.deep.include({ method, url: '/a%2Fb/../c?y=2&x=1' });
      expect(jsonOf(answer).headers)
        .to.include({ 'x-agentcube-session-id': id })
        .and.not.have.property('authorization');
    }
  });

  it('upgrades, and needs more than a right to read for it', async () => {
    const first = await clients.call(`${echo()}/`, { token: tokens.viewer });
    expect(first.status, 'a viewer creates no session').to.equal(403);
    const shell = async (token: string) => {
      const { hostname, port, host } = new URL(env.cluster.proxyUrl);
      const socket = connect({ host: hostname, port: Number(port), ca: env.ca, ALPNProtocols: ['http/1.1'] });
      let text = '';
      socket.setEncoding('latin1').on('data', (chunk: string) => {
        text += chunk;
      });
      const lines = [`GET ${echo()}/shell HTTP/1.1`, `Host: ${host}`, 'Connection: Upgrade', 'Upgrade: echo'];
      socket.write(`${[...lines, `Authorization: Bearer ${token}`].join('\r\n')}\r\n\r\n`);
      await until('the answer', () => text.includes('hello ') || text.includes('}'), { seen: () => text });
      socket.destroy();
      return text;
    };
    expect(await shell(tokens.owner)).to.match(/^HTTP\/1\.1 101 .*x-agentcube-session-id: [0-9a-f-]{36}/s);
    expect(await shell(tokens.viewer)).to.match(/^HTTP\/1\.1 403 .*"code":"FORBIDDEN"/s);
  });

  describe('a session id that does not fit', () => {
    const notFound = (id: string) => ({
      error: `sessions.agentcube.volcano.sh ${JSON.stringify(id)} not found`,
      code: 'NotFound',
    });

    it('is unknown: never created, of another namespace, kind or runtime, or no id at all', async () => {
      await env.kubectl([
        ...['create', 'rolebinding', 'guest', '-n', elsewhere.name, '--clusterrole=sojourn-session-user'],
        `--serviceaccount=${space.name}:owner`,
      ]);
      await untilMayCall(env.client, { user: accountUser(space.name, 'owner'), namespace: elsewhere.name });
      const cases: [string, string][] = [
        [py(), randomUUID()],
        [py(), 'not-an-id'],
        [py(), `${sessionId}, ${sessionId}`],
        [py(), sessionId.toUpperCase()],
        [clients.invocations('code-interpreters', 'none'), sessionId],
        [clients.invocations('agent-runtimes', 'py'), sessionId],
        [clients.invocations('code-interpreters', 'py', elsewhere.name), sessionId],
      ];
      await Promise.all(
        cases.map(async ([path, id]) => {
          const answer = await clients.call(`${path}/health`, { token: tokens.owner, sessionId: id });
          expect([answer.status, jsonOf(answer)], path).to.deep.equal([404, notFound(id)]);
        }),
      );
    });

    it('is refused in the same words as one that exists, for who may not', async () => {
      const answers = await Promise.all(
        [sessionId, randomUUID()].map((id) =>
          clients.call(`${py()}/health`, { token: tokens.stranger, sessionId: id }),
        ),
      );
      const [known, unknown] = answers;
      expect([known?.status, known?.text]).to.deep.equal([unknown?.status, unknown?.text]);
      expect(jsonOf(known as NonNullable<typeof known>)).to.deep.equal({
        error: `User "system:serviceaccount:${space.name}:stranger" cannot get resource "sessions/proxy" in API group "sojourn.dev" in the namespace "${space.name}"`,
        code: 'FORBIDDEN',
      });
      expect(answers.map(sessionIdOf)).to.deep.equal([undefined, undefined]);
    });

    it('is gone once the session was deleted', async () => {
      const first = await clients.execute('py', ['true'], { token: tokens.owner });
      const id = sessionIdOf(first) ?? '';
      const name = (await clients.sessions()).find(({ metadata }) => metadata.uid === id)?.metadata.name ?? '';
      await env.kubectl(['delete', 'session', name, '-n', space.name]);
      // Until the proxy has heard of the deletion it looks for the sandbox, and after that never says that nobody knows the id.
      await until('the end of the session to be known', async () => {
        const answer = await clients.call(`${py()}/health`, { token: tokens.owner, sessionId: id });
        expect(answer.status).not.to.equal(404);
        if (answer.status !== 410) return false;
        expect(jsonOf(answer).code).to.equal('Gone');
        return String(jsonOf(answer).error).startsWith('the session ended at ');
      });
    });
  });

  it('reads only for who may only read', async () => {
    const read = await clients.call(`${py()}/health`, { token: tokens.viewer, sessionId });
    expect(read.status, read.text).to.equal(200);
    const run = await clients.execute('py', ['id'], { token: tokens.viewer, sessionId });
    expect([run.status, jsonOf(run).code]).to.deep.equal([403, 'FORBIDDEN']);
  });

  it('creates for callers without a token of kube-apiserver’s too: by client certificate', async () => {
    const binding = ['create', 'rolebinding', 'alice', '-n', space.name, '--clusterrole=sojourn-session-user'];
    await env.kubectl([...binding, '--user=alice']);
    const { alice } = env.cluster.plane.pki;
    const [cert, key] = await Promise.all([readFile(alice.cert, 'utf8'), readFile(alice.key, 'utf8')]);
    const answer = await until('alice’s right to create', async () => {
      const tried = await https({ url: `${env.cluster.proxyUrl}${py()}/health`, ca: env.ca, cert, key });
      return tried.status !== 403 && tried;
    });
    expect(answer.status, answer.text).to.equal(200);
    const session = (await clients.sessions()).find(({ metadata }) => metadata.uid === sessionIdOf(answer));
    expect(session?.status?.user?.username).to.equal('alice');
  });

  it('says why nobody is let in, in AgentCube’s words', async () => {
    const basic = (pair: string) => `Basic ${Buffer.from(pair).toString('base64')}`;
    const cases: [string | undefined, string][] = [
      [undefined, 'missing authorization header'],
      ['Digest x', 'invalid authorization header format'],
      ['Bearer ', 'empty bearer token'],
      ['Bearer nonsense', 'invalid or expired token'],
      [basic('anybody:nonsense'), 'invalid or expired token'],
    ];
    for (const [authorization, error] of cases) {
      const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
      const answer = await clients.call(`${py()}/health`, { headers, sessionId });
      expect([answer.status, jsonOf(answer)], authorization).to.deep.equal([401, { error, code: 'UNAUTHORIZED' }]);
    }
  });

  it('takes a token as the password of HTTP Basic, which is all that some clients can send', async () => {
    const authorization = `Basic ${Buffer.from(`sojourn:${tokens.owner}`).toString('base64')}`;
    const answer = await clients.call(`${py()}/health`, { headers: { authorization }, sessionId });
    expect(answer.status, answer.text).to.equal(200);
  });

  it('names a runtime that is missing', async () => {
    for (const [kind, plural] of [
      ['code-interpreters', 'codeinterpreters'],
      ['agent-runtimes', 'agentruntimes'],
    ] as const) {
      const answer = await clients.call(`${clients.invocations(kind, 'absent')}/`, { token: tokens.owner });
      const error = `${plural}.agentcube.volcano.sh "${space.name}/absent" not found`;
      expect([answer.status, jsonOf(answer)]).to.deep.equal([404, { error, code: 'NotFound' }]);
    }
  });

  it('creates nothing for who may call but not create', async () => {
    const role = ['create', 'role', 'caller', '-n', space.name, '--resource=sessions.sojourn.dev/proxy'];
    await env.kubectl([...role, '--verb=get,create']);
    const binding = ['create', 'rolebinding', 'caller', '-n', space.name, '--role=caller'];
    await env.kubectl([...binding, `--serviceaccount=${space.name}:stranger`]);
    const before = (await clients.sessions()).length;
    const answer = await until('the right to call', async () => {
      const refused = await clients.execute('py', ['id'], { token: tokens.stranger });
      return refused.text.includes('cannot create resource \\"sessions\\"') && refused;
    });
    expect([answer.status, jsonOf(answer).code]).to.deep.equal([403, 'FORBIDDEN']);
    expect((await clients.sessions()).length).to.equal(before);
    await env.kubectl(['delete', 'rolebinding', 'caller', '-n', space.name]);
  });

  it('keeps the session of a client that leaves while it is made', async () => {
    const before = new Set((await clients.sessions()).map(({ metadata }) => metadata.uid));
    const { hostname, port, host } = new URL(env.cluster.proxyUrl);
    const socket = connect({ host: hostname, port: Number(port), ca: env.ca, ALPNProtocols: ['http/1.1'] });
    socket.on('error', () => undefined);
    const lines = [`POST ${py()}/api/execute HTTP/1.1`, `Host: ${host}`, `Authorization: Bearer ${tokens.owner}`];
    socket.write(`${[...lines, 'Content-Length: 1000', ''].join('\r\n')}\r\n`);
    const created = await until('the session', async () =>
      (await clients.sessions()).find(({ metadata }) => !before.has(metadata.uid)),
    );
    socket.destroy();
    const name = created.metadata.name ?? '';
    const wait = ['wait', '-n', space.name, '--for=condition=Ready', `session/${name}`, '--timeout=30s'];
    expect((await env.kubectl(wait)).code).to.equal(0);
    const answer = await clients.execute('py', ['echo', 'alive'], {
      token: tokens.owner,
      sessionId: created.metadata.uid ?? '',
    });
    expect(jsonOf(answer)).to.include({ stdout: 'alive\n' });
  });

  it('sends a path that no prefix fits to the first port of the runtime', async () => {
    const targetPort = [
      { pathPrefix: '/echo', port: 9000 },
      { pathPrefix: '/other', port: 9999 },
    ];
    const spec = { ...echoRuntime.spec, targetPort };
    await createRuntime(env.client, space.name, { ...echoRuntime, name: 'prefixed', spec });
    const prefixed = clients.invocations('agent-runtimes', 'prefixed');
    const first = await clients.call(`${prefixed}/`, { token: tokens.owner });
    expect(jsonOf(first)).to.include({ url: '/' });
    const call = { token: tokens.owner, sessionId: sessionIdOf(first) ?? '' };
    expect(jsonOf(await clients.call(`${prefixed}/echo/x`, call))).to.include({ url: '/echo/x' });
    const unreachable = await clients.call(`${prefixed}/other/x`, call);
    expect([unreachable.status, sessionIdOf(unreachable)]).to.deep.equal([502, call.sessionId]);
    expect(jsonOf(unreachable)).to.include({ error: 'sandbox unreachable', code: 'UpstreamFailed' });
  });

  it('has no other paths, as AgentCube’s', async () => {
    for (const path of ['/v1/namespaces', '/v1/x', '/', `/v1/namespaces/${space.name}/agent-runtimes/echo`]) {
      const answer = await clients.call(path, { token: tokens.owner });
      expect([answer.status, answer.text], path).to.deep.equal([404, '404 page not found']);
      expect(answer.headers['content-type']).to.match(/^text\/plain/);
    }
  });

  it('says what is wrong with a name that is not written plainly', async () => {
    const answer = await clients.call(`/v1/namespaces/${space.name}/agent-runtimes/%65cho/invocations/`, {
      token: tokens.owner,
    });
    expect([answer.status, jsonOf(answer).code]).to.deep.equal([400, 'BadRequest']);
  });
});
