import { parseDuration } from './duration.ts';
import type { CompleteSessionSpec } from './types.ts';

/** Activity of a session with a short idle timeout is not written more often than this. */
const shortestFlushIntervalMs = 5_000;
/** Writes of activity in one idle timeout, at most. */
const flushesPerIdleTimeout = 4;

/** What the end of a session depends on, besides its last activity. Times are milliseconds since the epoch. */
export interface Lifetime {
  createdAt: number;
  idleTimeoutMs: number;
  maxDurationMs: number;
  idleAction: CompleteSessionSpec['idleAction'];
}

/**
 * The lifetime of a session that was created at a time.
 * @throws RangeError when a duration of the spec is none.
 */
export function lifetimeOf(createdAt: number, spec: CompleteSessionSpec): Lifetime {
  return {
    createdAt,
    idleTimeoutMs: parseDuration(spec.idleTimeout),
    maxDurationMs: parseDuration(spec.maxDuration),
    idleAction: spec.idleAction,
  };
}

/** How long after one write of a session's activity the next one may come, whoever writes it: milliseconds. */
export function flushIntervalMs({ idleTimeoutMs }: Pick<Lifetime, 'idleTimeoutMs'>): number {
  return Math.max(idleTimeoutMs / flushesPerIdleTimeout, shortestFlushIntervalMs);
}

/** A time as it is stored, in whole seconds: rounded up, so that no session ends early. Milliseconds since the epoch. */
export function wholeSecond(ms: number): number {
  return Math.ceil(ms / 1000) * 1000;
}

/** When a session ends even if it is in use: milliseconds since the epoch, whole seconds. */
export function latestEnd({ createdAt, maxDurationMs }: Lifetime): number {
  return wholeSecond(createdAt + maxDurationMs);
}

/**
 * When a session is idle that was in use for the last time then: milliseconds since the epoch, whole seconds. The flush
 * interval is added because activity may be that much younger than what has been written of it.
 */
export function idleAfter(lifetime: Lifetime, lastActivityAt: number): number {
  return wholeSecond(lastActivityAt) + wholeSecond(lifetime.idleTimeoutMs + flushIntervalMs(lifetime));
}

/**
 * When a session ends that was in use for the last time then: the Sandbox's shutdownTime in milliseconds since the epoch,
 * whole seconds. A session that is suspended when idle ends by its maxDuration alone.
 */
export function endAfter(lifetime: Lifetime, lastActivityAt: number): number {
  const latest = latestEnd(lifetime);
  return lifetime.idleAction === 'Suspend' ? latest : Math.min(idleAfter(lifetime, lastActivityAt), latest);
}
