import { expect } from 'chai';
import { ApiError } from '../../../apis/machinery/errors.ts';
import { groupVersion, kind } from '../../../apis/names.ts';
import { restartKubeApiserver } from '../../e2e/support/kube-apiserver.ts';
import { useCluster } from '../../support/cluster.ts';
import { Pools } from './support/pools.ts';
import { directApiserver } from './support/replicas.ts';

describe('the members of a pool', () => {
  const env = useCluster();
  const space = env.namespace('outage');
  const pools = Pools.of(env, space);

  it('are there for the next ones when kube-apiserver did not answer those who wanted them', async () => {
    await pools.createRuntime({ name: 'o', size: 2 });
    await pools.warm('o', 2);
    const { client, headers } = await directApiserver(env, env.cluster.sojourn.ports.sojournApiserver);
    const create = async (query: Record<string, string> = {}) => {
      const spec = { runtimeRef: { kind: 'CodeInterpreter', name: 'o' } };
      const body = { apiVersion: groupVersion, kind, metadata: { generateName: 'o-' }, spec };
      return await client.request({ method: 'POST', path: pools.sessionsPath, query, headers, body });
    };
    try {
      // So that it is known who may, while nobody can be asked.
      await create({ dryRun: 'All' });
      await restartKubeApiserver(env, async () => {
        for (let time = 0; time < 4; time += 1) {
          const error: unknown = await create().catch((reason: unknown) => reason);
          if (!(error instanceof ApiError)) throw error;
          expect(error).to.include({ code: 503, retryAfterSeconds: 1 });
        }
      });
    } finally {
      await client.close();
    }
    // What the pool has comes from a watch, which begins again.
    await pools.warm('o', 2);
    for (let time = 0; time < 2; time += 1) {
      const session = await pools.create('o', { metadata: { generateName: 'o-' } });
      expect(session.status?.start).to.equal('Warm');
    }
  }).timeout(240_000);
});
