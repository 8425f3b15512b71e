import { type KubeClient, patchTypes } from '../../apis/client/transport.ts';
import type { KubeObject } from '../../apis/machinery/meta.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Benchmark, Contest, Reading, Side, Size } from './harness/benchmark.ts';
import { EventWatch } from './harness/event-watch.ts';
import { percentile } from './harness/statistics.ts';
import { Twins } from './harness/twins.ts';
import { Workplace } from './harness/workplace.ts';

/** Changes a round. */
const changes: Record<Size, number> = { full: 40, tiny: 2 };
const sessionName = 'watched';

export const watchEvent: Benchmark = {
  name: 'watch-event',
  how:
    'from sending a merge patch until a watch through the same kube-apiserver shows it: of a custom resource of the same ' +
    'schema, and of the Sandbox of a session that was written once, as by its first use, first in a watch of sessions, then ' +
    'in one of Sandboxes',
  open,
};

async function open(cluster: Cluster, size: Size): Promise<Contest> {
  const { client } = cluster;
  const workplace = await Workplace.create(client);
  const twins = await Twins.install(client, workplace.namespace);
  await workplace.createSession(sessionName, 'none');
  await twins.copy(await workplace.readySession(sessionName));
  await client.request({
    method: 'PATCH',
    path: `${workplace.sessions}/${sessionName}`,
    contentType: patchTypes.merge,
    body: { metadata: { labels: { used: 'true' } } },
  });
  const watches = {
    twins: await EventWatch.open<KubeObject>(client, twins.path),
    sandboxes: await EventWatch.open<KubeObject>(client, workplace.sandboxes),
    sessions: await EventWatch.open<KubeObject>(client, workplace.sessions),
  };
  const side = (name: string, written: string, watch: EventWatch<KubeObject>): Side => ({
    name,
    round: () => measure(client, { path: `${written}/${sessionName}`, watch, times: changes[size] }),
  });
  return {
    reference: side('a custom resource', twins.path, watches.twins),
    subjects: [
      side('a session', workplace.sandboxes, watches.sessions),
      side('its Sandbox', workplace.sandboxes, watches.sandboxes),
    ],
    close: async () => {
      await Promise.all(Object.values(watches).map((watch) => watch.close()));
      await workplace.remove();
    },
  };
}

interface Watched {
  /** Of the object that is changed. */
  path: string;
  watch: EventWatch<KubeObject>;
  times: number;
}

async function measure(client: KubeClient, { path, watch, times }: Watched): Promise<Reading[]> {
  watch.forget();
  const taken: number[] = [];
  for (let change = 0; change < times; change += 1) {
    const sent = performance.now();
    const { metadata } = await client.request<KubeObject>({
      method: 'PATCH',
      path,
      contentType: patchTypes.merge,
      body: { metadata: { annotations: { 'example.com/change': String(sent) } } },
    });
    const version = metadata.resourceVersion;
    const seen = await watch.first(`version ${version}`, ({ object }) => object.metadata.resourceVersion === version);
    taken.push(seen.at - sent);
  }
  return [50, 99].map((percent) => ({
    measure: `request to event, p${percent}`,
    unit: 'ms',
    value: percentile(taken, percent),
  }));
}
