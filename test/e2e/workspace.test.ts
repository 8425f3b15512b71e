import { expect } from 'chai';
import { Agent } from 'undici';
import { patchTypes } from '../../apis/client/transport.ts';
import { daemonImage } from '../../apis/names.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { createRuntime } from '../../hack/cluster/runtimes.ts';
import { callerToken, readySession, sessionsPath } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';
import { until } from '../support/until.ts';

/** How often the session is suspended and called back; a hundred by hand: `SOJOURN_CYCLES=100 npm test -- workspace`. */
const cycles = Number(process.env.SOJOURN_CYCLES ?? 3);
const deadlineMs = 60_000;

describe('a workspace', () => {
  const env = useCluster();
  const space = env.namespace('workspace');

  it(`keeps its files while its session is suspended and called back ${cycles} times`, async () => {
    const token = await callerToken(env, space.name);
    await createRuntime(env.client, space.name, {
      name: 'kept',
      metadata: { annotations: { 'sojourn.dev/workspace': '1Gi' } },
      spec: { authMode: 'sojourn', template: { image: `${daemonImage}:test` } },
    });
    await readySession(env, space.name, { name: 'box', runtime: 'kept' });
    const path = `${sessionsPath(space.name)}/box`;
    const agent = new Agent({ connect: { ca: env.ca } });
    /** What a script prints; undefined while the session is held, or believed to be in the Pod that went. */
    const run = async (script: string): Promise<string | undefined> => {
      const answer = await agent.request({
        origin: env.cluster.proxyUrl,
        path: `${path}/proxy/api/execute`,
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ command: ['sh', '-c', script] }),
      });
      const text = await answer.body.text();
      if (answer.statusCode === 409 || answer.statusCode === 503) return undefined;
      expect(answer.statusCode, text).to.equal(200);
      return (JSON.parse(text) as { stdout: string }).stdout;
    };
    const patch = (spec: object) =>
      env.client.request<Session>({ method: 'PATCH', path, contentType: patchTypes.merge, body: { spec } });
    const phase = async () => (await env.client.request<Session>({ path })).status?.phase;
    try {
      await until('the first call', () => run('echo 0 >> count'));
      for (let cycle = 1; cycle <= cycles; cycle += 1) {
        await patch({ suspended: true });
        await until('the session to be suspended', async () => (await phase()) === 'Suspended', { deadlineMs });
        await patch({ suspended: false });
        // The proxy hears of it by its watch, a moment later; from then on the call waits for the new Pod by itself.
        const counted = await until('the hold to be gone', () => run(`echo ${cycle} >> count; wc -l < count`), {
          deadlineMs,
        });
        expect(counted).to.match(new RegExp(`^\\s*${cycle + 1}\\s*$`));
      }
      expect(await run('head -n 1 count')).to.equal('0\n');
    } finally {
      await agent.destroy();
    }
  }).timeout(60_000 + cycles * 60_000);
});
