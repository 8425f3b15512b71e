import { comparePools, type PoolRecord } from '../../apis/v1alpha1/pool-record.ts';

/** A pool as the keeper sees it; pools on their way out are none. */
export interface KnownPool {
  name: string;
  uid: string;
  resourceVersion: string;
  record: PoolRecord;
  replicas: number;
  /** Members that are Ready. */
  ready: number;
  /** Milliseconds since the epoch. */
  createdAt: number;
  hasTemplate: boolean;
}

/** What is to be done about the pools of one runtime. */
export interface PoolPlan {
  /** The pool that stands for the runtime now: an old one until there is a better. */
  current: KnownPool | undefined;
  /** At most one of these: a new pool, an old one that fits but for its size and record, or only a missing template. */
  step: { kind: 'create' } | { kind: 'renew'; pool: KnownPool } | { kind: 'addTemplate'; pool: KnownPool } | undefined;
  /** Pools that are of no use any more. */
  remove: KnownPool[];
  /** When to look again, if nothing changes before. */
  recheckAfterMs: number | undefined;
}

/** How long an old pool waits for the first Ready member of the new one. */
const handoverMs = 60_000;

/**
 * Decides about the pools of one runtime by their order alone, so that replicas of two versions do not fight: a pool is made
 * only if none is greater, and only smaller ones are removed, once the greatest has a Ready member or had a minute for
 * it. A pool never shrinks and its template never changes: the pool controller deletes without preconditions, and a session
 * may just have taken what it deletes; the garbage collector, which removes whole pools, has them.
 *
 * @param desired what the runtime should have, by a live read; size 0 for none.
 * @param pools those of this runtime's uid.
 * @param now milliseconds since the epoch.
 */
export function planPools(desired: PoolRecord, pools: readonly KnownPool[], now: number): PoolPlan {
  if (desired.size === 0) {
    const current = pools.find(({ record }) => comparePools(record, desired) > 0);
    const remove = pools.filter(({ record }) => comparePools(record, desired) <= 0);
    return { current, step: undefined, remove, recheckAfterMs: undefined };
  }
  const greatest = greatestOf(pools);
  const order = greatest === undefined ? -1 : comparePools(greatest.record, desired);
  if (greatest === undefined || order < 0) {
    const sameSandboxes = pools.filter(
      ({ record }) => record.templateHash === desired.templateHash && record.size <= desired.size,
    );
    const pool = greatestOf(sameSandboxes);
    const step = pool === undefined ? ({ kind: 'create' } as const) : ({ kind: 'renew', pool } as const);
    return { current: greatest, step, remove: [], recheckAfterMs: undefined };
  }
  const smaller = pools.filter(({ record }) => comparePools(record, greatest.record) < 0);
  if (order > 0) return handOver(greatest, smaller, now);
  // Of equals, which an annotation of the runtime can make, the one that is like the runtime now.
  const equals = pools.filter(({ record }) => comparePools(record, desired) === 0);
  const current = equals.find(({ record }) => record.templateHash === desired.templateHash);
  if (current === undefined)
    return { current: greatest, step: { kind: 'create' }, remove: [], recheckAfterMs: undefined };
  const plan = handOver(current, [...smaller, ...equals.filter((pool) => pool !== current)], now);
  return current.hasTemplate ? plan : { ...plan, step: { kind: 'addTemplate', pool: current } };
}

/** Removes old pools when the current one can do its work. */
function handOver(current: KnownPool, old: KnownPool[], now: number): PoolPlan {
  const waitMs = current.ready > 0 ? 0 : current.createdAt + handoverMs - now;
  return waitMs <= 0 || old.length === 0
    ? { current, step: undefined, remove: old, recheckAfterMs: undefined }
    : { current, step: undefined, remove: [], recheckAfterMs: waitMs };
}

function greatestOf(pools: readonly KnownPool[]): KnownPool | undefined {
  return pools.reduce<KnownPool | undefined>(
    (greatest, pool) => (greatest === undefined || comparePools(pool.record, greatest.record) > 0 ? pool : greatest),
    undefined,
  );
}
