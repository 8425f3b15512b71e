import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { readPoolRecord } from '../../../apis/v1alpha1/pool-record.ts';
import { useCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';
import { Pools } from './support/pools.ts';

const size = 2;
/** How long the two are watched once the pool was replaced; longer by hand. */
const soakSeconds = Number(process.env.SOJOURN_SOAK_SECONDS ?? 5);

describe('two API servers with different template formats', () => {
  const env = useCluster();
  const space = env.namespace('versions');
  const pools = Pools.of(env, space);

  it('replace a pool once between them, whatever happens to its runtime, and start sessions warm', async function () {
    this.timeout((300 + 3 * soakSeconds) * 1000);
    await pools.createRuntime({ name: 'v', size });
    const old = await pools.full('v', size);
    const preload = new URL('./support/later-version.ts', import.meta.url).href;
    const { sojourn } = env.cluster;
    const { process: later } = await sojourn.startApiserverReplica(
      'sojourn-apiserver-later',
      [],
      ['--import', preload],
    );
    const uids = new Set<string | undefined>();
    try {
      const replaced = await until(
        'the later version to have its way',
        async () => {
          const [only, ...others] = await pools.pools('v');
          return others.length === 0 && only?.metadata.uid !== old.metadata.uid ? only : undefined;
        },
        // An old pool waits for a minute at most.
        { deadlineMs: 90_000 },
      );
      expect(readPoolRecord(replaced)?.templateFormat).to.equal(2);
      const end = performance.now() + soakSeconds * 1000;
      for (let turn = 0; performance.now() < end; turn += 1) {
        await pools.patchRuntime('v', { metadata: { labels: { turn: String(turn) } } });
        for (const { metadata } of await pools.pools('v')) uids.add(metadata.uid);
        await delay(100);
      }
      expect([...uids]).to.deep.equal([replaced.metadata.uid]);
      await pools.warm('v', size);
      expect((await pools.create('v')).status?.start).to.equal('Warm');
    } finally {
      await later.stop();
    }
    await pools.toldOf('v', ['PoolCreated', 'PoolCreated', 'PoolReplaced']);
  });
});
