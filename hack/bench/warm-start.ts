import type { KubeClient } from '../../apis/client/transport.ts';
import type { KubeObject } from '../../apis/machinery/meta.ts';
import { poolApi, sandboxApi } from '../../apis/names.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Benchmark, Contest, Reading, Side, Size } from './harness/benchmark.ts';
import { EventWatch } from './harness/event-watch.ts';
import { percentile } from './harness/statistics.ts';
import { isReady, Workplace } from './harness/workplace.ts';

type Started = Sandbox | Session;

interface Load {
  /** Starts one after the other. */
  inTurn: number;
  /** Numbers of starts in the same moment. */
  atOnce: readonly number[];
  poolSize: number;
}

const loads: Record<Size, Load> = {
  full: { inTurn: 10, atOnce: [10, 100], poolSize: 100 },
  tiny: { inTurn: 1, atOnce: [2], poolSize: 3 },
};
const runtime = 'warm';

export const warmStart: Benchmark = {
  name: 'warm-start',
  how:
    'from sending the create to Ready in a watch of the same kind, Pods without a process, with a pool that is full ' +
    'before each measurement; then all are deleted',
  open,
};

async function open(cluster: Cluster, size: Size): Promise<Contest> {
  const { client } = cluster;
  const workplace = await Workplace.create(client);
  const load = loads[size];
  const pool = await workplace.createPool(runtime, load.poolSize);
  const claims = `${poolApi.path}/namespaces/${workplace.namespace}/sandboxclaims`;
  const model = await modelSandbox(workplace);
  const paths = [workplace.sandboxes, claims, workplace.sessions] as const;
  const [sandboxWatch, claimWatch, sessionWatch] = await Promise.all(
    paths.map(async (path) => await EventWatch.open<Started>(client, path)),
  );
  const start = async (collection: string, body: object): Promise<string> => {
    const created = await client.request<KubeObject>({ method: 'POST', path: collection, body });
    return created.metadata.name ?? '';
  };
  const side = (
    name: string,
    collection: string,
    watch: EventWatch<Started> | undefined,
    create: () => object,
  ): Side => {
    if (watch === undefined) throw new TypeError('there is a watch for each path');
    const begin = async () => await start(collection, create());
    return new Starts({ client, name, collection, watch, load, begin, refilled: () => workplace.fullPool(runtime) });
  };
  const session = (prefix: string) => ({
    apiVersion: 'sojourn.dev/v1alpha1',
    kind: 'Session',
    metadata: { generateName: prefix },
    spec: { runtimeRef: { kind: 'CodeInterpreter', name: runtime } },
  });
  return {
    reference: side('a Sandbox with the same Pod', workplace.sandboxes, sandboxWatch, () => ({
      apiVersion: sandboxApi.groupVersion,
      kind: sandboxApi.kind,
      metadata: { generateName: 'plain-' },
      spec: model.spec,
    })),
    subjects: [
      side('a SandboxClaim on the same pool', claims, claimWatch, () => ({
        apiVersion: poolApi.groupVersion,
        kind: 'SandboxClaim',
        metadata: { generateName: 'claim-' },
        spec: { warmPoolRef: { name: pool.metadata.name } },
      })),
      side('a session, warm', workplace.sessions, sessionWatch, () => session(`${runtime}-`)),
      side('a session, cold', workplace.sessions, sessionWatch, () => session('cold-')),
    ],
    close: async () => {
      for (const watch of [sandboxWatch, claimWatch, sessionWatch]) await watch?.close();
      await workplace.remove();
    },
  };
}

/** What a plain Sandbox must hold to be started the same way. */
async function modelSandbox(workplace: Workplace): Promise<Sandbox> {
  await workplace.createSession('model', 'none');
  await workplace.readySession('model');
  return await workplace.client.request<Sandbox>({ path: `${workplace.sandboxes}/model` });
}

interface StartsOptions {
  client: KubeClient;
  name: string;
  collection: string;
  watch: EventWatch<Started>;
  load: Load;
  /** Creates one and answers its name. */
  begin: () => Promise<string>;
  refilled: () => Promise<unknown>;
}

/** Starts one after the other, then several at once, and removes them again. */
class Starts implements Side {
  readonly name: string;
  readonly #options: StartsOptions;

  constructor(options: StartsOptions) {
    this.name = options.name;
    this.#options = options;
  }

  async round(): Promise<Reading[]> {
    const { load } = this.#options;
    const inTurn: number[] = [];
    for (let start = 0; start < load.inTurn; start += 1) inTurn.push(...(await this.#together(1)));
    const readings: Reading[] = [
      { measure: 'create to Ready, one at a time, p50', unit: 'ms', value: percentile(inTurn, 50) },
    ];
    for (const count of load.atOnce) {
      const times = await this.#together(count);
      readings.push(
        { measure: `create to Ready, ${count} at once, p50`, unit: 'ms', value: percentile(times, 50) },
        { measure: `create to Ready, ${count} at once, the last`, unit: 'ms', value: Math.max(...times) },
      );
    }
    return readings;
  }

  /** Milliseconds from the create to Ready of so many starts in the same moment. */
  async #together(count: number): Promise<number[]> {
    const { client, collection, watch, begin, refilled } = this.#options;
    await refilled();
    watch.forget();
    const names: string[] = [];
    const times = await Promise.all(
      Array.from({ length: count }, async () => {
        const began = performance.now();
        const name = await begin();
        names.push(name);
        const ready = await watch.first(
          `${name} being Ready`,
          ({ object }) => object.metadata.name === name && isReady(object),
        );
        return ready.at - began;
      }),
    );
    await Promise.all(names.map((name) => client.request({ method: 'DELETE', path: `${collection}/${name}` })));
    await Promise.all(
      names.map((name) =>
        watch.first(`the end of ${name}`, ({ type, object }) => type === 'DELETED' && object.metadata.name === name),
      ),
    );
    return times;
  }
}
