import { expect } from 'chai';
import type { SupervisedProcess } from '../../../hack/cluster/process.ts';
import { sessionsPath } from '../../support/caller.ts';
import { useCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';
import { type DirectApiserver, directApiserver } from '../pools/support/replicas.ts';

describe('watches of one user', () => {
  const env = useCluster();
  const space = env.namespace('places');
  let replica: SupervisedProcess;
  let server: DirectApiserver;

  before(async function () {
    this.timeout(60_000);
    const started = await env.cluster.sojourn.startApiserverReplica('sojourn-apiserver-p', [
      ...['--max-watches-per-user', '2'],
    ]);
    replica = started.process;
    server = await directApiserver(env, started.port);
  });
  after(async () => {
    await server.client.close();
    await replica.stop();
  });

  const watch = async (username: string) =>
    await server.client.stream({
      path: sessionsPath(space.name),
      query: { watch: 'true', resourceVersion: '0' },
      headers: { ...server.headers, 'x-remote-user': username },
    });

  it('are as many as allowed, the next one is refused with a time to come again, and places become free', async () => {
    const open = [await watch('one'), await watch('one')];
    const refusal: unknown = await watch('one').catch((error: unknown) => error);
    expect(refusal).to.include({ reason: 'TooManyRequests', code: 429, retryAfterSeconds: 1 });
    expect(refusal).to.have.property('message').that.contains('the limit of yours is 2');
    open.push(await watch('another'));
    open.shift()?.body.destroy();
    open.push(await until('a place to be free', async () => await watch('one').catch(() => undefined)));
    for (const { body } of open) body.destroy();
  });
});
