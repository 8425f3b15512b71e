import type { KubeClient } from '../../apis/client/transport.ts';
import { sandboxApi } from '../../apis/names.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Benchmark, Contest, Reading, Side, Size } from './harness/benchmark.ts';
import { EventWatch } from './harness/event-watch.ts';
import { percentile } from './harness/statistics.ts';
import { isReady, Workplace } from './harness/workplace.ts';

/** Starts a round. */
const starts: Record<Size, number> = { full: 6, tiny: 1 };

export const coldStart: Benchmark = {
  name: 'cold-start',
  how: 'from sending the create to Ready in a watch of the same kind, one at a time, Pods without a process; then it is deleted',
  open,
};

async function open(cluster: Cluster, size: Size): Promise<Contest> {
  const workplace = await Workplace.create(cluster.client);
  const { client } = workplace;
  const model = await modelSandbox(workplace);
  const sandboxes = await EventWatch.open<Sandbox | Session>(client, workplace.sandboxes);
  const sessions = await EventWatch.open<Sandbox | Session>(client, workplace.sessions);
  const reference = new Starts(client, {
    name: 'a Sandbox with the same Pod and deadline',
    collection: workplace.sandboxes,
    watch: sandboxes,
    times: starts[size],
    create: async (name) => {
      const { apiVersion, kind, spec } = model;
      await client.request({
        method: 'POST',
        path: workplace.sandboxes,
        body: { apiVersion, kind, metadata: { name }, spec },
      });
    },
  });
  const subject = new Starts(client, {
    name: 'a session',
    collection: workplace.sessions,
    watch: sessions,
    times: starts[size],
    create: async (name) => void (await workplace.createSession(name, 'none')),
  });
  return {
    reference,
    subjects: [subject],
    close: async () => {
      await sandboxes.close();
      await sessions.close();
      await workplace.remove();
    },
  };
}

/** The Sandbox that a session makes: what a plain one must hold to be started the same way. */
async function modelSandbox(workplace: Workplace): Promise<Sandbox> {
  await workplace.createSession('model', 'none');
  await workplace.readySession('model');
  const sandbox = await workplace.client.request<Sandbox>({ path: `${workplace.sandboxes}/model` });
  return { ...sandbox, apiVersion: sandboxApi.groupVersion, kind: sandboxApi.kind };
}

interface StartsOptions {
  name: string;
  collection: string;
  watch: EventWatch<Sandbox | Session>;
  times: number;
  create: (name: string) => Promise<void>;
}

/** Creates, waits until Ready, deletes, waits until gone; the first two are measured. */
class Starts implements Side {
  readonly name: string;
  readonly #client: KubeClient;
  readonly #options: StartsOptions;
  #count = 0;

  constructor(client: KubeClient, options: StartsOptions) {
    this.name = options.name;
    this.#client = client;
    this.#options = options;
  }

  async round(): Promise<Reading[]> {
    const created: number[] = [];
    const ready: number[] = [];
    for (let start = 0; start < this.#options.times; start += 1) {
      const times = await this.#start();
      created.push(times.createdMs);
      ready.push(times.readyMs);
    }
    return [
      { measure: 'create answered, p50', unit: 'ms', value: percentile(created, 50) },
      { measure: 'create to Ready, p50', unit: 'ms', value: percentile(ready, 50) },
    ];
  }

  async #start(): Promise<{ createdMs: number; readyMs: number }> {
    const { create, watch, collection } = this.#options;
    watch.forget();
    this.#count += 1;
    const name = `${collection.split('/').at(-1)}-${this.#count}`;
    const began = performance.now();
    await create(name);
    const answered = performance.now();
    const ready = await watch.first(`${name} being Ready`, ({ object }) => {
      return object.metadata.name === name && isReady(object);
    });
    await this.#client.request({ method: 'DELETE', path: `${collection}/${name}` });
    await watch.first(`the end of ${name}`, ({ type, object }) => type === 'DELETED' && object.metadata.name === name);
    return { createdMs: answered - began, readyMs: ready.at - began };
  }
}
