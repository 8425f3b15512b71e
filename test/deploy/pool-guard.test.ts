import { expect } from 'chai';
import type { KubeClient } from '../../apis/client/transport.ts';
import { hasReason } from '../../apis/machinery/errors.ts';
import { annotations, labels, poolApi } from '../../apis/names.ts';
import { useCluster } from '../support/cluster.ts';

describe('the guard of warm pools', () => {
  const env = useCluster();
  const space = env.namespace('pool-guard');
  const path = () => `${poolApi.path}/namespaces/${space.name}/${poolApi.pool.resource}`;
  const pool = (metadata: object) => ({
    apiVersion: poolApi.groupVersion,
    kind: poolApi.pool.kind,
    metadata,
    spec: { replicas: 0, sandboxTemplateRef: { name: 'none' } },
  });
  const outcome = async (client: KubeClient, body: object): Promise<string> => {
    try {
      await client.request({ method: 'POST', path: path(), query: { dryRun: 'All' }, body });
      return 'created';
    } catch (error) {
      if (hasReason(error, 'Forbidden')) return error.message;
      throw error;
    }
  };

  it('lets nobody but the API server say what a pool is made for, not even an admin', async () => {
    const forged = [{ annotations: { [annotations.pool]: '{}' } }, { labels: { [labels.runtime]: 'py' } }];
    for (const metadata of forged) {
      const body = pool({ name: 'forged', ...metadata });
      expect(await outcome(env.client, body)).to.contain('pools of a runtime are kept by sojourn-apiserver alone');
      expect(await outcome(env.asAccount('sojourn-apiserver'), body)).to.equal('created');
    }
  });

  it('leaves pools of others alone', async () => {
    expect(await outcome(env.client, pool({ name: 'own', labels: { app: 'x' } }))).to.equal('created');
  });
});
