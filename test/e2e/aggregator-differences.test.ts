import { once } from 'node:events';
import { connect } from 'node:tls';
import { expect } from 'chai';
import { createRuntime } from '../../hack/cluster/runtimes.ts';
import { callerToken, readySession, sessionsPath } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';
import { until } from '../support/until.ts';
import { answers } from './support/aggregator/answers.ts';
import type { Request, Seen } from './support/aggregator/case.ts';
import { requests } from './support/aggregator/requests.ts';
import { rawRuntime } from './support/raw-agent.ts';

describe('what the aggregator changes', () => {
  const env = useCluster();
  const space = env.namespace('aggregator');
  const base = () => `${sessionsPath(space.name)}/raw/proxy`;
  let token = '';

  before(async function () {
    this.timeout(120_000);
    await createRuntime(env.client, space.name, rawRuntime);
    await readySession(env, space.name, { name: 'raw', kind: 'AgentRuntime', runtime: 'raw' });
    token = await callerToken(env, space.name);
    await until('the program to listen', async () => {
      const seen = await exchange('direct', { send: ['GET', '/length'] });
      return seen.code === '200' && (await exchange('aggregated', { send: ['GET', '/length'] })).code === '200';
    });
  });

  async function exchange(way: 'direct' | 'aggregated', request: Request): Promise<Seen> {
    const { send, version = '1.1', enough, patienceMs = 15_000 } = request;
    const { hostname, port } = new URL(way === 'direct' ? env.cluster.proxyUrl : env.cluster.plane.server);
    const socket = connect({ host: hostname, port: Number(port), ca: env.ca, ALPNProtocols: ['http/1.1'] });
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => socket.destroy());
    await once(socket, 'secureConnect');
    const [method, target, headers = [], body = ''] = send;
    const lines = [`${method} ${base()}${target} HTTP/${version}`, 'Host: cluster.example'];
    lines.push(`Authorization: Bearer ${token}`);
    if (!headers.some((line) => line.startsWith('Upgrade:'))) lines.push('Connection: close');
    socket.write(Buffer.from([...lines, ...headers, '', body].join('\r\n'), 'latin1'));
    const since = performance.now();
    await until('the end of the answer', () => {
      const over = socket.readableEnded || socket.destroyed || enough?.test(text) === true;
      return over || performance.now() - since > patienceMs;
    });
    socket.destroy();
    const end = text.indexOf('\r\n\r\n');
    const [status = '', ...fields] = text.slice(0, end).split('\r\n');
    return { text, code: status.split(' ')[1] ?? '', head: fields.join('\r\n'), body: text.slice(end + 4) };
  }

  for (const one of [...requests, ...answers]) {
    it(one.name, async () => {
      const { patienceMs, ...request } = one;
      const see = async (way: 'direct' | 'aggregated') => {
        const isSilent = one[way] === 'nothing' && patienceMs !== undefined;
        return one.see(await exchange(way, isSilent ? { ...request, patienceMs } : request));
      };
      const seen = { direct: await see('direct'), aggregated: await see('aggregated') };
      expect(seen).to.deep.equal({ direct: one.direct, aggregated: one.aggregated });
    });
  }
});
