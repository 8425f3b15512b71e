import { patchTypes } from '../../apis/client/transport.ts';
import type { KubeObject } from '../../apis/machinery/meta.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Benchmark, Contest, Reading, Side, Size } from './harness/benchmark.ts';
import { EventWatch } from './harness/event-watch.ts';
import { percentile } from './harness/statistics.ts';
import { Workplace } from './harness/workplace.ts';

/** Changes a round. */
const changes: Record<Size, number> = { full: 40, tiny: 2 };
const sessionName = 'watched';

export const watchEvent: Benchmark = {
  name: 'watch-event',
  how:
    "a change of a session's Sandbox until a watch through the same kube-apiserver shows it; a Sandbox's own event " +
    "leaves kube-apiserver together with the writer's answer, so the ratio from there is one to almost nothing",
  open,
};

async function open(cluster: Cluster, size: Size): Promise<Contest> {
  const workplace = await Workplace.create(cluster.client);
  await workplace.createSession(sessionName, 'none');
  await workplace.readySession(sessionName);
  const sandboxes = await EventWatch.open(cluster.client, workplace.sandboxes);
  const sessions = await EventWatch.open(cluster.client, workplace.sessions);
  const side = (name: string, watch: EventWatch<KubeObject>): Side => ({
    name,
    round: () => measure(workplace, watch, changes[size]),
  });
  return {
    reference: side('a watch of Sandboxes', sandboxes),
    subjects: [side('a watch of sessions', sessions)],
    close: async () => {
      await sandboxes.close();
      await sessions.close();
      await workplace.remove();
    },
  };
}

async function measure(workplace: Workplace, watch: EventWatch<KubeObject>, times: number): Promise<Reading[]> {
  watch.forget();
  const afterAnswer: number[] = [];
  const inAll: number[] = [];
  for (let change = 0; change < times; change += 1) {
    const sent = performance.now();
    const { metadata } = await workplace.client.request<Sandbox>({
      method: 'PATCH',
      path: `${workplace.sandboxes}/${sessionName}`,
      contentType: patchTypes.merge,
      body: { metadata: { annotations: { 'example.com/change': String(sent) } } },
    });
    const answered = performance.now();
    const version = metadata.resourceVersion;
    const seen = await watch.first(`version ${version}`, ({ object }) => object.metadata.resourceVersion === version);
    afterAnswer.push(seen.at - answered);
    inAll.push(seen.at - sent);
  }
  return [
    { measure: 'answer to event, p50', unit: 'ms', value: percentile(afterAnswer, 50) },
    { measure: 'request to event, p50', unit: 'ms', value: percentile(inAll, 50) },
  ];
}
