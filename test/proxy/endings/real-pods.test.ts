import { expect } from 'chai';
import type { Condition } from '../../../apis/machinery/meta.ts';
import type { Session } from '../../../apis/v1alpha1/types.ts';
import { createRuntime } from '../../../hack/cluster/runtimes.ts';
import type { CoreEvent } from '../../../proxy/invocation/endings/session-event.ts';
import { createSession, sessionsPath } from '../../support/caller.ts';
import { useCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';

/** Takes memory until it is killed. */
const greedy = "let all = []; setInterval(() => all.push(Buffer.alloc(8 * 1024 * 1024, 'x')), 5)";
/** Answers whatever it is asked. */
const answering =
  "require('node:http').createServer((_, response) => response.end('well')).listen(9000, process.env.POD_IP)";
const podIp = { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } };
const node = (script: string) => [process.execPath, '-e', script];

describe('sessions on a node that cannot run them', () => {
  const env = useCluster();
  const space = env.namespace('unwell');
  const path = () => sessionsPath(space.name);

  /** Creates a runtime of one container, and a session of it. */
  async function create(name: string, container: object, podSpec: object = {}): Promise<void> {
    await createRuntime(env.client, space.name, {
      name,
      kind: 'AgentRuntime',
      spec: {
        targetPort: [{ pathPrefix: '/', port: 9000 }],
        podTemplate: { spec: { ...podSpec, containers: [{ name: 'main', image: 'local/process', ...container }] } },
      },
    });
    await createSession(env, space.name, { name, kind: 'AgentRuntime', runtime: name });
  }

  async function session(name: string): Promise<{ phase: string | undefined; ready: Condition | undefined }> {
    const { status } = await env.client.request<Session>({ path: `${path()}/${name}` });
    return { phase: status?.phase, ready: status?.conditions?.find(({ type }) => type === 'Ready') };
  }

  async function becomes(name: string, phase: string, reason: string): Promise<Condition> {
    return await until(`${name} to be ${phase} with ${reason}`, async () => {
      const seen = await session(name);
      return seen.phase === phase && seen.ready?.reason === reason ? seen.ready : undefined;
    });
  }

  const call = async (name: string) => {
    const { status, body } = await env.client.requestRaw({ path: `${path()}/${name}/proxy/` });
    return `${status} ${body.toString()}`;
  };

  it('shows a crash loop, and says it to a caller', async () => {
    await create('crashing', { command: ['sh', '-c', 'exit 3'] });
    const ready = await becomes('crashing', 'Pending', 'CrashLoopBackOff');
    expect(ready.message).to.equal('container "main" ended with exit code 3 and is started again with back-off');
    expect(await call('crashing')).to.match(/^503 .*CrashLoopBackOff: container .*ended with exit code 3/s);
  });

  it('shows a missing key of a Secret, and heals when it comes', async function () {
    this.timeout(90_000);
    const env1 = { name: 'KEY', valueFrom: { secretKeyRef: { name: 'keys', key: 'k' } } };
    await create('keyless', { command: node(answering), env: [podIp, env1] });
    const ready = await becomes('keyless', 'Pending', 'CreateContainerConfigError');
    expect(ready.message).to.contain('secret "keys" not found');
    await env.kubectl(['create', 'secret', 'generic', 'keys', '-n', space.name, '--from-literal=k=v']);
    const wait = ['wait', 'session/keyless', '-n', space.name, '--for=condition=Ready', '--timeout=60s'];
    expect((await env.kubectl(wait)).stdout).to.contain('condition met');
    expect(await call('keyless')).to.equal('200 well');
  });

  it('shows that memory ran out, and stays when the container comes back', async function () {
    this.timeout(90_000);
    const script = `if [ -e was ]; then exec "$NODE" -e "$ANSWERING"; fi; touch was; exec "$NODE" -e "$GREEDY"`;
    const variables = { NODE: process.execPath, ANSWERING: answering, GREEDY: greedy };
    const listed = Object.entries(variables).map(([name, value]) => ({ name, value }));
    const resources = { limits: { memory: '128Mi' } };
    await create('greedy', { command: ['sh', '-c', script], env: [podIp, ...listed], resources });
    await until('the session to come back', async () => (await session('greedy')).phase === 'Ready');
    expect(await call('greedy')).to.equal('200 well');
    const events = await until('the Event', async () => {
      const { items } = await env.client.request<{ items: CoreEvent[] }>({
        path: `/api/v1/namespaces/${space.name}/events`,
        query: { fieldSelector: 'involvedObject.kind=Session,involvedObject.name=greedy,reason=Failed' },
      });
      return items.length > 0 ? items : undefined;
    });
    expect(events.map(({ message }) => message)[0]).to.match(/^OOMKilled: container "main" was killed because/);
  });

  it('is Failed when its program ended for good', async () => {
    await create('over', { command: ['sh', '-c', 'exit 5'] }, { restartPolicy: 'Never' });
    const ready = await becomes('over', 'Failed', 'Error');
    expect(ready.message).to.equal('container "main" ended with exit code 5');
    expect(await call('over')).to.contain('SessionFailed');
  });

  it('shows that no node takes it', async () => {
    await create('homeless', { command: node(answering) }, { nodeSelector: { 'example.com/gpu': 'yes' } });
    const ready = await becomes('homeless', 'Pending', 'Unschedulable');
    expect(ready.message).to.contain('nodes are available');
    expect(await call('homeless')).to.contain('Unschedulable');
  });
});
