import { expect } from 'chai';
import { Agent } from 'undici';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { createRuntime } from '../../hack/cluster/runtimes.ts';
import type { Replica } from '../../hack/cluster/sojourn.ts';
import { Balancer } from '../support/balancer.ts';
import { callerToken, readySession, sessionsPath } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';
import { until } from '../support/until.ts';
import { slowRuntime } from './support/slow-agent.ts';

/** Calls that run at the moment of the kill, half of them through each proxy. */
const running = 2_000;
const clients = 12;

describe('two proxies', () => {
  const env = useCluster();
  const space = env.namespace('replicas');
  const agents: Agent[] = [];
  let token = '';
  let box: Session;

  before(async function () {
    this.timeout(90_000);
    token = await callerToken(env, space.name);
    await createRuntime(env.client, space.name, slowRuntime);
    box = await readySession(env, space.name, { name: 'box', runtime: 'py' });
  });
  afterEach(async () => {
    await Promise.all(agents.splice(0).map((agent) => agent.destroy()));
  });

  const newAgent = (connections: number): Agent => {
    const agent = new Agent({ connections, pipelining: 1, connect: { ca: env.ca, servername: 'localhost' } });
    agents.push(agent);
    return agent;
  };
  const call = async (agent: Agent, port: number, path: string) => {
    const { statusCode, headers, body } = await agent.request({
      origin: `https://127.0.0.1:${port}`,
      path: `${sessionsPath(space.name)}/${path}`,
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: path.endsWith('/execute') ? '{"command":["true"]}' : '',
    });
    return { code: statusCode, id: headers['x-agentcube-session-id'], text: await body.text() };
  };
  /** Starts a process anew under its old name and ports. */
  const start = (name: string) => env.cluster.sojourn.startProxyReplica(name, ['--shutdown-delay-duration', '3s']);

  it('fail no call while they are restarted one after the other behind one address', async () => {
    const replicas: Replica[] = [await start('sojourn-proxy-b'), await start('sojourn-proxy-c')];
    const balancer = await Balancer.open(replicas);
    const agent = newAgent(clients);
    let stop = false;
    let calls = 0;
    const failures: string[] = [];
    const worker = async () => {
      while (!stop) {
        try {
          const { code, text } = await call(agent, balancer.port, 'box/proxy/api/execute');
          if (code !== 200) failures.push(`${code} ${text}`);
        } catch (error) {
          failures.push(String(error));
        }
        calls += 1;
      }
    };
    const workers = Array.from({ length: clients }, worker);
    try {
      for (const [index, name] of ['sojourn-proxy-b', 'sojourn-proxy-c'].entries()) {
        const before = calls;
        await until('calls to go on', () => calls > before + 50, { seen: () => failures.slice(0, 3) });
        await replicas[index]?.process.stop();
        replicas[index] = await start(name);
        const backend = replicas[index];
        await until('the new process to take calls', () => backend !== undefined && balancer.isReady(backend));
      }
      const before = calls;
      await until('calls to go on', () => calls > before + 50);
    } finally {
      stop = true;
      await Promise.all(workers);
      await balancer.stop();
      await Promise.all(replicas.map(({ process }) => process.stop()));
    }
    expect(failures.slice(0, 5)).to.deep.equal([]);
  }).timeout(240_000);

  it(`when one is killed during ${running.toLocaleString('en')} calls: the other’s all succeed, and nothing is lost`, async () => {
    const other = await start('sojourn-proxy-b');
    const { sojournProxy: port } = env.cluster.sojourn.ports;
    // Of a short idle timeout, so that their use is noted soon, but longer than a start of a proxy may take.
    const agentSession = { kind: 'AgentRuntime', runtime: 'slow', spec: { idleTimeout: '40s' } } as const;
    const names = ['one', 'two'];
    const slow = names.map((name) => readySession(env, space.name, { name, ...agentSession }));
    const sessions = [box, ...(await Promise.all(slow))];
    try {
      const agent = newAgent(running);
      const through = (to: number) =>
        Array.from({ length: running / 2 }, (_, index) =>
          call(agent, to, `${index % 2 === 0 ? 'one' : 'two'}/proxy/wait`),
        );
      const victims = through(port).map((answer) =>
        answer.then(
          ({ code }) => `answered ${code}`,
          () => 'broken off',
        ),
      );
      const survivors = through(other.port);
      const held = async () => {
        const counts = await Promise.all(names.map((name) => call(agent, other.port, `${name}/proxy/count`)));
        return counts.reduce((sum, { text }) => sum + Number(text), 0);
      };
      await until(`${running} calls to run`, async () => (await held()) === running, { deadlineMs: 60_000 });

      await env.kill('sojourn-proxy');
      expect(new Set(await Promise.all(victims))).to.deep.equal(new Set(['broken off']));
      await Promise.all(names.map((name) => call(agent, other.port, `${name}/proxy/go`)));
      const answers = await Promise.all(survivors);
      expect(new Set(answers.map(({ code, text }) => `${code} ${text}`))).to.deep.equal(new Set(['200 gone']));

      const noted = async (name: string) => {
        const session = await env.client.request<Session>({ path: `${sessionsPath(space.name)}/${name}` });
        return Date.parse(session.status?.lastActivityTime ?? '');
      };
      await env.cluster.sojourn.startProxy();
      const calledAt = new Map<string, number>();
      for (const session of sessions) {
        const name = session.metadata.name ?? '';
        calledAt.set(name, Date.now());
        const path = name === 'box' ? 'box/proxy/api/execute' : `${name}/proxy/count`;
        const { code, id } = await call(newAgent(1), port, path);
        expect({ code, id }).to.deep.equal({ code: 200, id: session.metadata.uid });
      }
      // Written within a quarter of the idle timeout, by whichever of the two had the later call, and rounded up.
      for (const name of names) {
        const earliest = calledAt.get(name) ?? Number.NaN;
        await until(`the use of ${name} to be noted`, async () => (await noted(name)) >= earliest);
      }
    } finally {
      await other.process.stop();
    }
  }).timeout(180_000);
});
