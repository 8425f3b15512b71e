import { expect } from 'chai';
import { createLog } from '../../../apis/runtime/log.ts';
import { readPoolRecord } from '../../../apis/v1alpha1/pool-record.ts';
import { desiredPool } from '../../../apis/v1alpha1/pool-template.ts';
import { PoolKeeper, type TrustAnchorSource } from '../../../apiserver/pools/pool-keeper.ts';
import { useCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';
import { Pools } from './support/pools.ts';

describe('the pool of a runtime', () => {
  const env = useCluster();
  const space = env.namespace('root-key');
  const pools = Pools.of(env, space);

  it('is replaced once when one of two replicas knows of a new root key', async function () {
    this.timeout(300_000);
    await pools.createRuntime({ name: 'k', size: 1 });
    const old = await pools.full('k', 1);
    let rootKeySince = readPoolRecord(old)?.keyGeneration ?? 0;
    let announce = () => undefined as unknown;
    const keys: TrustAnchorSource = {
      loaded: true,
      trustAnchors: () => ({ rootKey: `root-${rootKeySince}`, rootKeySince, picodKey: 'picod', picodKeySince: 0 }),
      onAnchorsChange: (listener) => {
        announce = listener;
      },
    };
    const onlyThis: typeof desiredPool = (runtime, anchors) =>
      desiredPool(runtime.name === 'k' ? runtime : { ...runtime, generation: 0, warmPoolSize: 0 }, anchors);
    rootKeySince += 1000;
    // In this process, as another replica would run it.
    const keeper = new PoolKeeper({
      client: env.asAccount('sojourn-apiserver'),
      log: createLog({ level: 'error', write: () => undefined }),
      now: Date.now,
      keys,
      desiredPool: onlyThis,
      troubleOf: () => undefined,
    });
    keeper.start();
    try {
      announce();
      const replaced = await until(
        'the pool of the new key',
        async () => {
          const [only, ...others] = await pools.pools('k');
          return only !== undefined && others.length === 0 && only.metadata.uid !== old.metadata.uid ? only : undefined;
        },
        // An old pool waits for a minute at most.
        { deadlineMs: 90_000 },
      );
      expect(readPoolRecord(replaced)?.keyGeneration).to.equal(rootKeySince);
      await pools.patchRuntime('k', { metadata: { labels: { touched: 'yes' } } });
      expect((await pools.full('k', 1)).metadata.uid).to.equal(replaced.metadata.uid);
    } finally {
      await keeper.stop();
    }
  });
});
