import type { KubeClient } from '../../apis/client/transport.ts';
import type { KubeList } from '../../apis/machinery/meta.ts';
import { groupVersion } from '../../apis/names.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Benchmark, Contest, Reading, Side, Size } from './harness/benchmark.ts';
import { percentile } from './harness/statistics.ts';
import { Twins } from './harness/twins.ts';
import { eventually, isReady, Workplace } from './harness/workplace.ts';

const sizes: Record<Size, { sessions: number; gets: number; lists: number }> = {
  full: { sessions: 1000, gets: 200, lists: 8 },
  tiny: { sessions: 2, gets: 2, lists: 1 },
};
const creatorsAtOnce = 8;
const discovery = `/apis/${groupVersion}`;

export const reads: Benchmark = {
  name: 'reads',
  how:
    `GET of one and LIST of ${sizes.full.sessions} through kube-apiserver, one after the other, at resourceVersion "" and ` +
    '"0"; the custom resource has the same schema and holds the same; the least is the discovery document of sessions, which ' +
    'their server has ready',
  open,
};

async function open(cluster: Cluster, size: Size): Promise<Contest> {
  const workplace = await Workplace.create(cluster.client);
  const names = Array.from({ length: sizes[size].sessions }, (_, index) => `session-${index}`);
  const twins = await Twins.install(cluster.client, workplace.namespace);
  await createAll(workplace, names);
  for (const session of (await cluster.client.request<KubeList<Session>>({ path: workplace.sessions })).items) {
    await twins.copy(session);
  }
  const side = (name: string, collection: string): Side => ({
    name,
    round: () => measure(cluster.client, collection, { names, ...sizes[size] }),
  });
  return {
    reference: side('a custom resource', twins.path),
    subjects: [
      side('sessions', workplace.sessions),
      side('their Sandboxes', workplace.sandboxes),
      {
        name: 'the least there is through the aggregator',
        round: () => measureLeast(cluster.client, sizes[size].gets),
      },
    ],
    close: () => workplace.remove(),
  };
}

/** Returns once all are Ready and the controllers are quiet. */
async function createAll(workplace: Workplace, names: readonly string[]): Promise<void> {
  const left = [...names];
  const create = async () => {
    for (let name = left.pop(); name !== undefined; name = left.pop()) await workplace.createSession(name, 'none');
  };
  await Promise.all(Array.from({ length: creatorsAtOnce }, create));
  await eventually('all sessions are ready', async () => {
    const { items } = await workplace.client.request<KubeList<Session>>({ path: workplace.sessions });
    return items.length === names.length && items.every(isReady);
  });
}

interface Amount {
  names: readonly string[];
  gets: number;
  lists: number;
}

async function measure(client: KubeClient, collection: string, { names, gets, lists }: Amount): Promise<Reading[]> {
  const readings: Reading[] = [];
  for (const resourceVersion of [undefined, '0']) {
    const at = `at "${resourceVersion ?? ''}"`;
    const query = { resourceVersion };
    const getTimes = await timed(gets, async (index) => {
      const name = names[index % names.length];
      const { status, body } = await client.requestRaw({ path: `${collection}/${name}`, query });
      if (status !== 200 || !body.includes(`"name":"${name}"`)) throw wrong(`${collection}/${name}`, status, body);
    });
    const listTimes = await timed(lists, async (index) => {
      const { status, body } = await client.requestRaw({ path: collection, query });
      if (status !== 200) throw wrong(collection, status, body);
      // One look inside is enough, and costs no other reading anything.
      if (index === 0) checkList(collection, body, names.length);
    });
    for (const percent of [50, 99]) {
      readings.push({ measure: `GET ${at}, p${percent}`, unit: 'ms', value: percentile(getTimes, percent) });
    }
    for (const percent of [50, 99]) {
      readings.push({ measure: `LIST ${at}, p${percent}`, unit: 'ms', value: percentile(listTimes, percent) });
    }
  }
  return readings;
}

/** A document that our API server has ready, so that what is left is the way there and back. */
async function measureLeast(client: KubeClient, gets: number): Promise<Reading[]> {
  const times = await timed(gets, async () => {
    const { status, body } = await client.requestRaw({ path: discovery });
    if (status !== 200) throw wrong(discovery, status, body);
  });
  return [50, 99].map((percent) => ({
    measure: `GET at "0", p${percent}`,
    unit: 'ms',
    value: percentile(times, percent),
  }));
}

async function timed(times: number, read: (index: number) => Promise<void>): Promise<number[]> {
  const taken: number[] = [];
  for (let index = 0; index < times; index += 1) {
    const began = performance.now();
    await read(index);
    taken.push(performance.now() - began);
  }
  return taken;
}

function checkList(collection: string, body: Buffer, expected: number): void {
  const { items } = JSON.parse(body.toString('utf8')) as KubeList<Session>;
  if (items.length !== expected) throw new Error(`LIST of ${collection} had ${items.length} items, not ${expected}`);
}

function wrong(path: string, status: number, body: Buffer): Error {
  return new Error(`GET ${path} gave a wrong answer: ${status} ${body.toString('utf8', 0, 300)}`);
}
