import { ApiError } from '../../apis/machinery/errors.ts';
import type { BytesMoved } from './traffic.ts';

/** How long a kind of call may last, in milliseconds; 0 for as long as it likes. */
export interface Patience {
  /** Without a byte in either direction. */
  idleMs: number;
  /** In all. */
  totalMs: number;
}

/** A call that is being carried. */
export interface WatchedCall {
  readonly traffic: BytesMoved;
  readonly patience: Patience;
  /** Ends the call. */
  interrupt(error: ApiError): void;
}

interface Observation {
  begunAt: number;
  movedAt: number;
  bytes: number;
}

const longestSweepMs = 5_000;
const shortestSweepMs = 50;

/** Ends calls that last too long. One sweep over all of them, so that a call itself costs no timer. */
export class Watchdog {
  readonly #calls = new Map<WatchedCall, Observation>();
  readonly #timer: NodeJS.Timeout;

  /** @param patiences all that calls may have: they decide how often is looked. */
  constructor(patiences: readonly Patience[]) {
    const shortest = Math.min(...patiences.flatMap(({ idleMs, totalMs }) => [idleMs, totalMs]).filter((ms) => ms > 0));
    const everyMs = Math.min(longestSweepMs, Math.max(shortestSweepMs, shortest / 4));
    this.#timer = setInterval(() => this.#sweep(), everyMs);
    this.#timer.unref();
  }

  watch(call: WatchedCall): void {
    const now = performance.now();
    this.#calls.set(call, { begunAt: now, movedAt: now, bytes: 0 });
  }

  forget(call: WatchedCall): void {
    this.#calls.delete(call);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #sweep(): void {
    const now = performance.now();
    for (const [call, seen] of this.#calls) {
      const bytes = call.traffic.total;
      if (bytes !== seen.bytes) {
        seen.bytes = bytes;
        seen.movedAt = now;
      }
      const { idleMs, totalMs } = call.patience;
      const why = isOver(totalMs, now - seen.begunAt)
        ? 'total'
        : isOver(idleMs, now - seen.movedAt)
          ? 'idle'
          : undefined;
      if (why === undefined) continue;
      this.#calls.delete(call);
      call.interrupt(tooLong(why));
    }
  }
}

function tooLong(why: 'idle' | 'total'): ApiError {
  const message =
    why === 'idle'
      ? 'nothing moved between client and sandbox for too long; send something now and then, or ask for less in one call'
      : 'the call took longer than calls may take; ask for less in one call';
  return new ApiError('UpstreamTimeout', message);
}

function isOver(limitMs: number, passedMs: number): boolean {
  return limitMs > 0 && passedMs > limitMs;
}
