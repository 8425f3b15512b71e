import type { Runtime } from '../../apis/agentcube/runtime.ts';
import type { KubeClient } from '../../apis/client/transport.ts';
import { hasReason } from '../../apis/machinery/errors.ts';
import type { Log } from '../../apis/runtime/log.ts';
import { type DesiredPool, poolName } from '../../apis/v1alpha1/pool-template.ts';
import { runtimeProblems } from '../../apis/v1alpha1/spec-rules.ts';
import { type RuntimeKind, runtimeKinds } from '../../apis/v1alpha1/types.ts';
import type { DatedTrustAnchors } from '../../apis/wire/trust-anchor.ts';
import { PoolIndex, type PoolView } from './pool-index.ts';
import { type KnownPool, type PoolPlan, planPools } from './pool-plan.ts';
import type { PoolTrouble } from './pool-trouble.ts';
import { PoolWriter } from './pool-writer.ts';
import { RuntimeEvents, type RuntimeIdentity } from './runtime-events.ts';
import { RuntimeIndex, type RuntimeRef, type RuntimeView } from './runtime-index.ts';
import { poolProblem } from './runtime-status.ts';
import { StatusKeeper } from './status-keeper.ts';
import { WorkQueue } from './work-queue.ts';

const workers = 8;

/** The keys that new sandboxes trust. */
export interface TrustAnchorSource {
  /** Whether they can be read yet. */
  readonly loaded: boolean;
  trustAnchors(): DatedTrustAnchors;
  onAnchorsChange(listener: () => void): void;
}

export interface PoolKeeperOptions {
  client: KubeClient;
  log: Log;
  keys: TrustAnchorSource;
  /** What the pool of a runtime should be. */
  desiredPool: (runtime: Runtime, anchors: DatedTrustAnchors) => DesiredPool;
  /** What keeps a pool from being full. */
  troubleOf: (pool: KnownPool) => PoolTrouble | undefined;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/**
 * Keeps the pools of all runtimes, and the runtimes' status. Every replica does so, with no leader: each write is fenced, and
 * what there is to do follows from the stored objects alone (`pool-plan.ts`).
 */
export class PoolKeeper {
  /** All runtimes there are. */
  readonly runtimes: RuntimeIndex;
  /** All pools there are. */
  readonly pools: PoolIndex;
  readonly #options: PoolKeeperOptions;
  readonly #writer: PoolWriter;
  readonly #events: RuntimeEvents;
  readonly #status: StatusKeeper;
  readonly #queue: WorkQueue;

  constructor(options: PoolKeeperOptions) {
    const { client, log, troubleOf, now } = options;
    this.#options = options;
    this.#queue = new WorkQueue({ log, workers, work: (key) => this.#keep(parseKey(key)) });
    const add = (ref: RuntimeRef) => this.#queue.add(keyOf(ref));
    this.runtimes = new RuntimeIndex({ client, log, onChange: add });
    this.pools = new PoolIndex({
      client,
      log,
      onChange: (namespace, name) => {
        for (const kind of runtimeKinds) add({ kind, namespace, name });
      },
      onGone: (pool) => void this.#toldWithRuntime(pool),
    });
    this.#writer = new PoolWriter(client);
    this.#events = new RuntimeEvents(client, log);
    this.#status = new StatusKeeper({ writer: this.#writer, events: this.#events, troubleOf, now });
  }

  start(): void {
    this.#options.keys.onAnchorsChange(() => this.#recheckAll());
    this.runtimes.start();
    this.pools.start();
    void this.pools.firstSync.then(() => this.#recheckAll());
  }

  async stop(): Promise<void> {
    await Promise.all([this.runtimes.stop(), this.pools.stop()]);
    await this.#queue.stop();
  }

  #recheckAll(): void {
    for (const ref of this.runtimes.refs()) this.#queue.add(keyOf(ref));
  }

  /** Brings one runtime to its state; returns when to look again. */
  async #keep(ref: RuntimeRef): Promise<number | undefined> {
    const seen = this.runtimes.get(ref);
    if (seen === undefined) this.#status.forget(keyOf(ref));
    // What a runtime owned goes with it.
    if (seen === undefined || seen.terminating) return undefined;
    // Once they are, everything is looked at anew.
    if (!this.#options.keys.loaded || !this.pools.synced) return undefined;
    const plan = this.#plan(seen.runtime);
    if (plan.step !== undefined || plan.remove.length > 0) {
      if (await this.#carryOut(ref)) return undefined;
    }
    const statusAgain = await this.#status.keep(keyOf(ref), seen, plan.current);
    return earlier(plan.recheckAfterMs, statusAgain);
  }

  #plan(runtime: Runtime): PoolPlan {
    return planPools(this.#desired(runtime).record, this.pools.poolsOf(runtime), this.#options.now());
  }

  #desired(runtime: Runtime): DesiredPool {
    const possible = runtimeProblems(runtime).length === 0 && poolProblem(runtime) === undefined;
    return this.#options.desiredPool(
      possible ? runtime : { ...runtime, warmPoolSize: 0 },
      this.#options.keys.trustAnchors(),
    );
  }

  /** Does what a live read of the runtime still says is to be done; true when the watch will tell of it. */
  async #carryOut(ref: RuntimeRef): Promise<boolean> {
    const live = await this.runtimes.read(ref);
    if (live === undefined || live.terminating) return true;
    const { runtime } = live;
    const { step, remove, current } = this.#plan(runtime);
    try {
      if (step !== undefined) return await this.#take(runtime, step);
      await Promise.all(remove.map((pool) => this.#remove(runtime, pool, current)));
      return remove.length > 0;
    } catch (error) {
      if (await this.#isLeaving(error, live)) return true;
      throw error;
    }
  }

  async #take(runtime: Runtime, step: NonNullable<PoolPlan['step']>): Promise<boolean> {
    const desired = this.#desired(runtime);
    const { size } = desired.record;
    switch (step.kind) {
      case 'create': {
        if (!(await this.#writer.createPool(runtime, desired))) return false;
        const message = `created warm pool ${poolName(runtime, desired.record)} of ${size}`;
        await this.#events.write(runtime, { type: 'Normal', reason: 'PoolCreated', message });
        return true;
      }
      case 'renew': {
        const { pool } = step;
        if (!(await this.#writer.renewPool(runtime.namespace, pool, desired))) return true;
        if (size === pool.record.size) return true;
        const message = `warm pool ${pool.name} grows from ${pool.record.size} to ${size}`;
        await this.#events.write(runtime, { type: 'Normal', reason: 'PoolResized', message });
        return true;
      }
      case 'addTemplate': {
        const { name, uid } = step.pool;
        await this.#writer.createTemplate(runtime, { metadata: { name, uid, namespace: runtime.namespace } }, desired);
        return true;
      }
    }
  }

  async #remove(runtime: Runtime, pool: KnownPool, current: KnownPool | undefined): Promise<void> {
    if (!(await this.#writer.deletePool(runtime.namespace, pool))) return;
    await this.#events.write(
      runtime,
      current === undefined
        ? { type: 'Normal', reason: 'PoolDeleted', message: `deleted warm pool ${pool.name}` }
        : { type: 'Normal', reason: 'PoolReplaced', message: `warm pool ${current.name} replaced ${pool.name}` },
    );
  }

  /** Tells of a pool that the garbage collector took because its runtime is gone, or going; never rejects. */
  async #toldWithRuntime({ namespace, name, uid, runtimeName, runtimeKind, record }: PoolView): Promise<void> {
    const kind = runtimeKinds.find((candidate) => candidate === runtimeKind);
    if (kind === undefined || record === undefined || !this.runtimes.synced) return;
    const runtime = { kind, namespace, name: runtimeName, uid: record.runtime.uid };
    if (await this.#isThere(runtime)) return;
    const message = `deleted warm pool ${name} with its runtime`;
    const event = `${name}.${uid.slice(0, 8)}.deleted`;
    await this.#events.write(runtime, { type: 'Normal', reason: 'PoolDeleted', message, name: event });
  }

  /** Whether a runtime is there to stay, or nobody knows; never rejects. */
  async #isThere(runtime: RuntimeIdentity): Promise<boolean> {
    const stays = (view: RuntimeView | undefined) => view?.runtime.uid === runtime.uid && !view.terminating;
    if (!stays(this.runtimes.get(runtime))) return false;
    // Runtimes and pools come from watches of their own: that of pools may be ahead.
    return await this.runtimes.read(runtime).then(stays, () => true);
  }

  /** A namespace on its way out takes nothing new, and its runtimes go in a moment. */
  async #isLeaving(error: unknown, { runtime }: RuntimeView): Promise<boolean> {
    if (!hasReason(error, 'Forbidden', 'NotFound')) return false;
    const { metadata } = await this.#options.client.request<{ metadata: { deletionTimestamp?: string } }>({
      path: `/api/v1/namespaces/${encodeURIComponent(runtime.namespace)}`,
    });
    return metadata.deletionTimestamp !== undefined;
  }
}

function keyOf({ kind, namespace, name }: RuntimeRef): string {
  return `${kind}/${namespace}/${name}`;
}

function parseKey(key: string): RuntimeRef {
  const [kind = '', namespace = '', name = ''] = key.split('/');
  return { kind: kind as RuntimeKind, namespace, name };
}

function earlier(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}
