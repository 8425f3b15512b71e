import { expect } from 'chai';
import type { KubeStream } from '../../../../apis/client/transport.ts';
import type { SupervisedProcess } from '../../../../hack/cluster/process.ts';
import type { TestCluster } from '../../../support/cluster.ts';
import { until } from '../../../support/until.ts';
import { type DirectApiserver, directApiserver } from '../../pools/support/replicas.ts';
import { Side } from '../support/side.ts';

const query = { watch: 'true', resourceVersion: '0' };

/** How many watches one user may have at once. */
export function manyWatches(env: TestCluster): void {
  const space = env.namespace('many-watches');
  let replica: SupervisedProcess;
  let server: DirectApiserver;
  const open: KubeStream[] = [];

  before(async function () {
    this.timeout(60_000);
    const started = await env.cluster.sojourn.startApiserverReplica('sojourn-apiserver-w', [
      ...['--max-watches-per-user', '2'],
    ]);
    replica = started.process;
    server = await directApiserver(env, started.port);
  });
  after(async () => {
    for (const { body } of open) body.destroy();
    await server.client.close();
    await replica.stop();
  });

  /** Sessions are watched at the API server that was told of a limit. */
  async function watch(side: Side, username: string): Promise<void> {
    const headers = { ...server.headers, 'x-remote-user': username };
    const request = { path: side.collection, query };
    open.push(
      await (side.side === 'twin' ? env.client.stream(request) : server.client.stream({ ...request, headers })),
    );
  }

  it('watches of one user are any number of the twin, and of sessions as many as allowed', async () => {
    const session = new Side('session', { namespace: space.name, name: '' });
    const twin = new Side('twin', { namespace: space.name, name: '' });
    for (let time = 0; time < 3; time += 1) await watch(twin, 'one');
    for (let time = 0; time < 2; time += 1) await watch(session, 'one');
    const refusal: unknown = await watch(session, 'one').catch((error: unknown) => error);
    expect(refusal).to.include({ reason: 'TooManyRequests', code: 429, retryAfterSeconds: 1 });
    expect(refusal).to.have.property('message').that.contains('the limit of yours is 2');
    await watch(session, 'another');
    // One that has ended leaves its place to the next one.
    open.at(-2)?.body.destroy();
    await until('a place to be free', () =>
      watch(session, 'one').then(
        () => true,
        () => false,
      ),
    );
  });
}
