import { setTimeout as delay } from 'node:timers/promises';
import { patchTypes } from '../../apis/client/transport.ts';
import { accounts, groupVersion, kind, systemNamespace } from '../../apis/names.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { type AuditEvent, AuditTail } from '../cluster/audit-tail.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Benchmark, Contest, Reading, Side, Size } from './harness/benchmark.ts';
import { Fronts, requestOf, type StartedFront } from './harness/fronts.ts';
import { eventually, type Workplace } from './harness/workplace.ts';
import { smallBody, smallPath } from './upstream/routes.ts';

const warmRuntime = 'warm';
const idleSeconds = 20;
/** How long a session is called again and again: one idle window and a little, or hardly. */
const busyMs: Record<Size, number> = { full: idleSeconds * 1_000, tiny: 500 };
const callEveryMs = 250;
const writingVerbs = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);
const ours = Object.values(accounts).map((account) => `system:serviceaccount:${systemNamespace}:${account}`);

export const apiWrites: Benchmark = {
  name: 'api-writes',
  how:
    "writes of Sojourn's own accounts that kube-apiserver's audit log has, Events apart, from create to delete: of a " +
    'session that was started warm, of one that was called once through each of two proxies, of one that was called ' +
    `through both all the time for its idleTimeout of ${idleSeconds} s, and of one that was suspended and brought back`,
  open,
};

async function open(cluster: Cluster, size: Size): Promise<Contest> {
  const fronts = await Fronts.open(cluster);
  const second = await fronts.startProxy();
  await fronts.workplace.createPool(warmRuntime, 1);
  const lives = new Lives(cluster, fronts, second);
  const side: Side = { name: 'sessions', round: () => lives.round(size) };
  return { reference: unmeasured, subjects: [side], close: () => fronts.close() };
}

/** Nothing else keeps sessions by writes that could be counted beside ours. */
const unmeasured: Side = { name: 'nothing', round: async () => [] };

class Lives {
  readonly #cluster: Cluster;
  readonly #fronts: Fronts;
  readonly #second: StartedFront;
  readonly #workplace: Workplace;
  #count = 0;

  constructor(cluster: Cluster, fronts: Fronts, second: StartedFront) {
    this.#cluster = cluster;
    this.#fronts = fronts;
    this.#second = second;
    this.#workplace = fronts.workplace;
  }

  async round(size: Size): Promise<Reading[]> {
    this.#count += 1;
    const audit = await AuditTail.open(this.#cluster.plane.dir);
    const [once, busy, held] = [`once-${this.#count}`, `busy-${this.#count}`, `held-${this.#count}`];
    const warm = await this.#createWarm();
    await Promise.all([once, busy, held].map((name) => this.#create(name)));
    await this.#call(once);
    const began = performance.now();
    while (performance.now() - began < busyMs[size]) {
      await this.#call(busy);
      await delay(callEveryMs);
    }
    await this.#hold(held, { suspended: true });
    await this.#hold(held, { suspended: false });
    const { client, sessions } = this.#workplace;
    await Promise.all(
      [warm, once, busy, held].map((name) => client.request({ method: 'DELETE', path: `${sessions}/${name}` })),
    );
    const mark = await client.requestRaw({ path: `${sessions}/read-last-${this.#count}` });
    if (mark.status !== 404) throw new Error(`a session that was never made was answered with ${mark.status}`);
    const events = await audit.readUntil('the last request', ({ requestURI }) =>
      requestURI.includes(`/read-last-${this.#count}`),
    );
    const writes = (name: string) => events.filter((event) => isWrite(event, name)).length;
    return [
      { measure: 'a warm life', unit: 'writes', value: writes(warm) },
      { measure: 'a life with one call of each proxy', unit: 'writes', value: writes(once) },
      { measure: 'a life with one idle window of calls', unit: 'writes', value: writes(busy) },
      { measure: 'a life with a suspension and a resume', unit: 'writes', value: writes(held) },
    ];
  }

  async #create(name: string): Promise<void> {
    await this.#workplace.createSession(name, 'program', { idleTimeout: `${idleSeconds}s` });
    await this.#workplace.readySession(name);
  }

  /** The API server hears of what waits in a pool by a watch; a session that comes before that starts cold. */
  async #createWarm(): Promise<string> {
    const { client, sessions } = this.#workplace;
    await this.#workplace.fullPool(warmRuntime);
    const body = {
      apiVersion: groupVersion,
      kind,
      metadata: { generateName: `${warmRuntime}-` },
      spec: { runtimeRef: { kind: 'CodeInterpreter', name: warmRuntime } },
    };
    return await eventually('a session starts warm', async () => {
      const { metadata, status } = await client.request<Session>({ method: 'POST', path: sessions, body });
      if (status?.start === 'Warm') return metadata.name;
      await client.request({ method: 'DELETE', path: `${sessions}/${metadata.name}` });
      return undefined;
    });
  }

  /** Calls a session through both proxies. */
  async #call(name: string): Promise<void> {
    const { load, proxy } = this.#fronts;
    for (const front of [proxy, this.#second]) {
      const there = { ...front, prefix: `${this.#workplace.sessions}/${name}/proxy` };
      const call = { request: requestOf(there, 'GET', smallPath), expected: { status: 200, body: smallBody } };
      await load.run('calls', { ...front.target, ...call, connections: 1, requests: 1 });
    }
  }

  async #hold(name: string, spec: { suspended: boolean }): Promise<void> {
    const { client, sessions } = this.#workplace;
    const path = `${sessions}/${name}`;
    await client.request({ method: 'PATCH', path, contentType: patchTypes.merge, body: { spec } });
    const wanted = spec.suspended ? 'Suspended' : 'Ready';
    await eventually(`${name} is ${wanted}`, async () => {
      return (await client.request<Session>({ path })).status?.phase === wanted;
    });
  }
}

function isWrite({ verb, user, objectRef, responseStatus }: AuditEvent, name: string): boolean {
  const { resource, name: written } = objectRef ?? {};
  const code = responseStatus?.code ?? 0;
  return (
    ours.includes(user.username) && writingVerbs.has(verb) && resource === 'sandboxes' && written === name && code < 300
  );
}
