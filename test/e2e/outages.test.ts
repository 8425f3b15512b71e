import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { Agent } from 'undici';
import type { KubeObject } from '../../apis/machinery/meta.ts';
import { daemonPort } from '../../apis/wire/daemon.ts';
import { Relay } from '../../hack/cluster/relay.ts';
import { createRuntime } from '../../hack/cluster/runtimes.ts';
import { callerToken, readySession, sessionsPath } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';
import { until } from '../support/until.ts';
import { echoRuntime } from './support/echo-agent.ts';

/** How long kube-apiserver is away. */
const awayMs = 60_000;

interface Answer {
  code: number;
  reason: string | undefined;
  retryAfter: string | undefined;
  text: string;
}

describe('outages', () => {
  const env = useCluster();
  const space = env.namespace('outages');
  const agents: Agent[] = [];
  let token = '';

  before(async function () {
    this.timeout(120_000);
    token = await callerToken(env, space.name);
    await createRuntime(env.client, space.name, echoRuntime);
    await readySession(env, space.name, { name: 'box', runtime: 'py' });
    await readySession(env, space.name, { name: 'agent', kind: 'AgentRuntime', runtime: 'echo' });
  });
  afterEach(async () => {
    await Promise.all(agents.splice(0).map((agent) => agent.destroy()));
  });

  const newAgent = (): Agent => {
    const agent = new Agent({ connect: { ca: env.ca } });
    agents.push(agent);
    return agent;
  };
  const request = (origin: string, path: string, method: 'GET' | 'POST', body?: string) => ({
    origin,
    path: `${sessionsPath(space.name)}/${path}`,
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body }),
  });
  const execute = async (agent: Agent, origin: string): Promise<Answer> => {
    const body = '{"command":["echo","here"]}';
    const answer = await agent.request(request(origin, 'box/proxy/api/execute', 'POST', body));
    const text = await answer.body.text();
    const { reason } = JSON.parse(text) as { reason?: string };
    return { code: answer.statusCode, reason, retryAfter: answer.headers['retry-after'] as string | undefined, text };
  };

  it('kube-apiserver is away for a minute: calls are refused when nobody can say who may, streams go on, and all heals', async () => {
    const relay = await Relay.open(env.cluster.plane.ports.kubeApiserver);
    const own = await readFile(join(env.cluster.plane.dir, 'components', 'sojourn-proxy.kubeconfig'), 'utf8');
    const kubeconfig = join(env.cluster.plane.dir, 'components', 'relayed.kubeconfig');
    await writeFile(kubeconfig, own.replaceAll(env.cluster.plane.server, `https://127.0.0.1:${relay.port}`));
    const proxy = await env.cluster.sojourn.startProxyReplica('sojourn-proxy-b', ['--kubeconfig', kubeconfig]);
    const origin = `https://127.0.0.1:${proxy.port}`;
    const agent = newAgent();
    try {
      const stream = await newAgent().request(request(origin, 'agent/proxy/events', 'GET'));
      const streamed = stream.body[Symbol.asyncIterator]();
      expect(String((await streamed.next()).value)).to.contain('first');
      expect((await execute(agent, origin)).code).to.equal(200);

      relay.cut();
      const cutAt = performance.now();
      expect((await execute(agent, origin)).code, 'a caller whose verdict is fresh').to.equal(200);
      const refused = await until('a verdict to run out', async () => {
        const answer = await execute(agent, origin);
        return answer.code === 200 ? undefined : answer;
      });
      expect(refused).to.deep.include({ code: 503, reason: 'ServiceUnavailable' });
      expect(Number(refused.retryAfter)).to.be.at.least(1);
      // Meanwhile somebody goes on with the session through another proxy, and a new one is made.
      expect((await execute(agent, env.cluster.proxyUrl)).code).to.equal(200);
      await readySession(env, space.name, { name: 'later', runtime: 'py' });
      let left = false;
      void streamed.next().then(
        () => (left = true),
        () => (left = true),
      );
      await delay(awayMs - (performance.now() - cutAt));
      expect(left, 'the stream’s end').to.equal(false);

      relay.heal();
      await until('calls to work again', async () => (await execute(agent, origin)).code === 200, {
        deadlineMs: 60_000,
      });
      const later = await agent.request(request(origin, 'later/proxy/health', 'GET'));
      await later.body.dump();
      expect(later.statusCode).to.equal(200);
    } finally {
      await proxy.process.stop();
      await relay.stop();
    }
  }).timeout(180_000);

  it('a session’s Pod is replaced: calls wait for the new one, and its predecessor’s address is dialled no more', async () => {
    const path = `/api/v1/namespaces/${space.name}/pods/box`;
    const before = await env.client.request<KubeObject & { status: { podIP: string } }>({ path });
    const agent = newAgent();
    expect((await execute(agent, env.cluster.proxyUrl)).code).to.equal(200);
    await env.client.request({ method: 'DELETE', path, query: { gracePeriodSeconds: '0' } });
    const failures: Answer[] = [];
    const after = await until(
      'the new Pod to answer',
      async () => {
        // The old one answers until the node has ended it, and is found by whoever has not heard of that.
        const isOldGone = !(await listens(before.status.podIP));
        const answer = await execute(agent, env.cluster.proxyUrl);
        if (answer.code !== 200) failures.push(answer);
        const pod = await env.client.request<typeof before>({ path }).catch(() => undefined);
        return isOldGone && answer.code === 200 && pod?.metadata.uid !== before.metadata.uid ? pod : undefined;
      },
      { deadlineMs: 60_000 },
    );
    expect(after.status.podIP).to.not.equal(before.status.podIP);
    // In the moment between the program's end and the news of it; everything else waits.
    for (const { code, retryAfter } of failures) {
      expect(code).to.be.oneOf([502, 503]);
      if (code === 503) expect(Number(retryAfter)).to.be.at.least(1);
    }
    expect((await execute(agent, env.cluster.proxyUrl)).text).to.contain('here');
  }).timeout(120_000);
});

/** Whether a daemon takes connections at a Pod's address. */
async function listens(host: string): Promise<boolean> {
  const socket = connect({ host, port: daemonPort });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
