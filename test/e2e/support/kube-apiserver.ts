import { answersOk } from '../../../hack/cluster/probe.ts';
import { sessionsPath } from '../../support/caller.ts';
import type { TestCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';

/**
 * Kills kube-apiserver with SIGKILL, and starts it again when `meanwhile` is over, whatever came of that. Resolves when it
 * serves sessions again.
 */
export async function restartKubeApiserver(env: TestCluster, meanwhile: () => Promise<void>): Promise<void> {
  const { plane } = env.cluster;
  const running = plane.processes.find(({ name }) => name === 'kube-apiserver');
  if (running === undefined) throw new Error('kube-apiserver does not run');
  await running.kill();
  try {
    await meanwhile();
  } finally {
    const started = await plane.supervisor.start(running.spec);
    const isReady = await answersOk(`${plane.server}/readyz`, { ca: plane.pki.ca.cert, client: plane.pki.admin });
    await started.ready(isReady, { deadlineMs: 60_000 });
  }
  const path = sessionsPath('default');
  await until('sessions to be served', async () => (await env.client.requestRaw({ path })).status === 200);
}
