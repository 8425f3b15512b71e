import { type KubeClient, patchTypes } from '../../apis/client/transport.ts';
import { groupVersion, kind } from '../../apis/names.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Benchmark, Contest, Reading, Side, Size } from './harness/benchmark.ts';
import { percentile } from './harness/statistics.ts';
import { Stillness } from './harness/stillness.ts';
import { Twins } from './harness/twins.ts';
import { eventually, Workplace } from './harness/workplace.ts';

/** Objects a round. */
const objects: Record<Size, number> = { full: 20, tiny: 1 };

export const writes: Benchmark = {
  name: 'writes',
  how:
    'create (cold), merge patch of a label and delete through kube-apiserver, one after the other, until the answer, each ' +
    'once the controllers have nothing left to do; what stands beside a session has the same schema, and no Pod',
  open,
};

async function open(cluster: Cluster, size: Size): Promise<Contest> {
  const { client } = cluster;
  const workplace = await Workplace.create(client);
  const twins = await Twins.install(client, workplace.namespace);
  const stillness = await Stillness.watch(client, workplace.controlled);
  const spec = { runtimeRef: { kind: 'CodeInterpreter', name: 'none' } };
  const written = (path: string, apiVersion: string, settled: Written['settled']): Written => {
    const create = async (name: string) => {
      await client.request({ method: 'POST', path, body: { apiVersion, kind, metadata: { name }, spec } });
    };
    return { path, create, settled };
  };
  const side = (name: string, resource: Written): Side => ({
    name,
    round: () => measure(client, resource, { count: objects[size], stillness }),
  });
  const sandboxGone = (name: string) =>
    eventually(`${name} is gone`, async () => {
      return (await client.requestRaw({ path: `${workplace.sandboxes}/${name}` })).status === 404;
    });
  return {
    reference: side('a custom resource', written(twins.path, twins.apiVersion, { ready: done, gone: done })),
    subjects: [
      side(
        'sessions',
        written(workplace.sessions, groupVersion, { ready: (name) => workplace.readySession(name), gone: sandboxGone }),
      ),
    ],
    close: async () => {
      await stillness.close();
      await workplace.remove();
    },
  };
}

/** Nothing goes on after the answer. */
const done = async (): Promise<void> => undefined;

interface Written {
  path: string;
  create: (name: string) => Promise<void>;
  /** Waits until what the answer has begun is over. */
  settled: { ready: (name: string) => Promise<unknown>; gone: (name: string) => Promise<unknown> };
}

async function measure(
  client: KubeClient,
  { path, create, settled }: Written,
  { count, stillness }: { count: number; stillness: Stillness },
): Promise<Reading[]> {
  const times = { create: [] as number[], patch: [] as number[], delete: [] as number[] };
  for (let index = 0; index < count; index += 1) {
    const name = `written-${index}`;
    times.create.push(await took(() => create(name)));
    await settled.ready(name);
    await stillness.reached();
    const label = { metadata: { labels: { changed: String(index) } } };
    const patch = { method: 'PATCH', path: `${path}/${name}`, contentType: patchTypes.merge, body: label } as const;
    times.patch.push(await took(() => client.request(patch)));
    await stillness.reached();
    times.delete.push(await took(() => client.request({ method: 'DELETE', path: `${path}/${name}` })));
    await settled.gone(name);
    await stillness.reached();
  }
  return Object.entries(times).flatMap(([what, taken]) =>
    [50, 99].map(
      (percent): Reading => ({ measure: `${what}, p${percent}`, unit: 'ms', value: percentile(taken, percent) }),
    ),
  );
}

async function took(write: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await write();
  return performance.now() - began;
}
