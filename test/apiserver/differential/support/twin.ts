import type { KubeClient } from '../../../../apis/client/transport.ts';
import { hasReason } from '../../../../apis/machinery/errors.ts';
import { resource, version } from '../../../../apis/names.ts';
import { twinDefinition, twinGroup } from '../../../../hack/twin/definition.ts';
import type { TestCluster } from '../../../support/cluster.ts';
import { until } from '../../../support/until.ts';

/** Gives a suite the twin; it is installed by the first suite of a run that needs it. */
export function useTwin(env: TestCluster): void {
  before('the twin of sessions', async () => {
    await installTwin(env.client);
  });
}

async function installTwin(client: KubeClient): Promise<void> {
  try {
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    await client.request({ method: 'POST', path, body: twinDefinition() });
  } catch (error) {
    if (!hasReason(error, 'AlreadyExists')) throw error;
  }
  const path = `/apis/${twinGroup}/${version}/namespaces/default/${resource}`;
  await until('the twin to be served', async () => (await client.requestRaw({ path })).status === 200);
  const document = `/openapi/v3/apis/${twinGroup}/${version}`;
  await until('the twin to be documented', async () => (await client.requestRaw({ path: document })).status === 200);
}
