import { findCondition } from '../../apis/machinery/meta.ts';
import type { KnownPool } from './pool-plan.ts';
import type { PoolTrouble } from './pool-trouble.ts';
import type { PoolWriter } from './pool-writer.ts';
import type { RuntimeEvents } from './runtime-events.ts';
import type { RuntimeView } from './runtime-index.ts';
import { poolCondition, poolState, runtimeStatus, statusDifference } from './runtime-status.ts';

/** The state of a pool that stays for so long is written; half as long again in some processes, so that mostly one of them writes. */
const settledMs = 2_000;
/** One that never stays is written this often. */
const longestUnsettledMs = 15_000;
/** How often a pool that is not full is looked at: nothing tells of the troubles of its Pods. */
const troubledMs = 5_000;

export interface StatusKeeperOptions {
  writer: PoolWriter;
  events: RuntimeEvents;
  /** What keeps a pool from being full. */
  troubleOf: (pool: KnownPool) => PoolTrouble | undefined;
  /** Milliseconds since the epoch. */
  now: () => number;
}

interface Unsettled {
  state: string;
  /** Since when this state, and since when any that are not the stored ones: milliseconds since the epoch. */
  since: number;
  firstSince: number;
}

/** Writes the status of runtimes when it has changed; what changes with every warm start, when it has settled. */
export class StatusKeeper {
  readonly #options: StatusKeeperOptions;
  readonly #unsettled = new Map<string, Unsettled>();
  readonly #settledMs = settledMs * (1 + Math.random() / 2);

  constructor(options: StatusKeeperOptions) {
    this.#options = options;
  }

  /** Forgets a runtime that is gone. */
  forget(key: string): void {
    this.#unsettled.delete(key);
  }

  /** Brings a runtime's status up to date; returns after how many milliseconds to look again, if at all. */
  async keep(key: string, view: RuntimeView, pool: KnownPool | undefined): Promise<number | undefined> {
    const { runtime, status: stored } = view;
    const { writer, events, troubleOf, now } = this.#options;
    const isFull = pool === undefined || pool.ready >= pool.record.size;
    const again = isFull ? undefined : troubledMs;
    const trouble = isFull ? undefined : troubleOf(pool);
    const status = runtimeStatus({ runtime, stored, pool, trouble, now: now() });
    const difference = statusDifference(stored, status);
    const waitMs = difference === 'pool' ? this.#untilSettled(key, poolState(status)) : 0;
    if (waitMs > 0) return waitMs;
    this.#unsettled.delete(key);
    // Lost to another replica, or stale: the watch brings what there is now.
    if (difference === 'none' || !(await writer.writeStatus(view, status))) return again;
    for (const [type, reason] of [
      ['Ready', 'InvalidRuntime'],
      [poolCondition, 'WarmPoolNotReady'],
    ] as const) {
      const [before, after] = [stored, status].map(({ conditions }) => findCondition(conditions, type));
      if (after?.status !== 'False' || (before?.status === 'False' && before.message === after.message)) continue;
      const message = type === 'Ready' ? after.message : `${after.reason}: ${after.message}`;
      await events.write(runtime, { type: 'Warning', reason, message });
    }
    return again;
  }

  #untilSettled(key: string, state: string): number {
    const now = this.#options.now();
    const known = this.#unsettled.get(key);
    const since = known?.state === state ? known.since : now;
    const firstSince = known?.firstSince ?? now;
    this.#unsettled.set(key, { state, since, firstSince });
    return Math.min(since + this.#settledMs, firstSince + longestUnsettledMs) - now;
  }
}
