import { findCondition } from '../../apis/machinery/meta.ts';
import type { KnownPool } from './pool-plan.ts';
import type { PoolWriter } from './pool-writer.ts';
import type { RuntimeEvents } from './runtime-events.ts';
import type { RuntimeView } from './runtime-index.ts';
import { runtimeStatus, statusDifference } from './runtime-status.ts';

/** Numbers that stay for so long are written; half as long again in some processes, so that mostly one of them writes. */
const settledMs = 2_000;
/** Numbers that never stay are written this often. */
const longestUnsettledMs = 15_000;

export interface StatusKeeperOptions {
  writer: PoolWriter;
  events: RuntimeEvents;
  /** Milliseconds since the epoch. */
  now: () => number;
}

interface Unsettled {
  ready: number | undefined;
  /** Since when these numbers, and since when any that are not the stored ones: milliseconds since the epoch. */
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
    const { writer, events, now } = this.#options;
    const status = runtimeStatus({ runtime, stored, pool, now: now() });
    const difference = statusDifference(stored, status);
    const waitMs = difference === 'numbers' ? this.#untilSettled(key, pool?.ready) : 0;
    if (waitMs > 0) return waitMs;
    this.#unsettled.delete(key);
    // Lost to another replica, or stale: the watch brings what there is now.
    if (difference === 'none' || !(await writer.writeStatus(view, status))) return undefined;
    const [before, after] = [stored, status].map(({ conditions }) => findCondition(conditions, 'Ready'));
    if (after?.status === 'False' && before?.message !== after.message) {
      await events.write(runtime, { type: 'Warning', reason: 'InvalidRuntime', message: after.message });
    }
    return undefined;
  }

  #untilSettled(key: string, ready: number | undefined): number {
    const now = this.#options.now();
    const known = this.#unsettled.get(key);
    const since = known?.ready === ready && known !== undefined ? known.since : now;
    const firstSince = known?.firstSince ?? now;
    this.#unsettled.set(key, { ready, since, firstSince });
    return Math.min(since + this.#settledMs, firstSince + longestUnsettledMs) - now;
  }
}
