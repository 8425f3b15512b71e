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

/** A call that is looked at now and then, until it is {@link Watchdog.forget forgotten}. */
export interface Watch {
  readonly call: WatchedCall;
  readonly begunAt: number;
  movedAt: number;
  bytes: number;
  /** Where it stands among all. */
  place: number;
}

const longestSweepMs = 5_000;
const shortestSweepMs = 50;

/** Ends calls that last too long. One sweep over all of them, so that a call itself costs no timer. */
export class Watchdog {
  /**
   * In no order. Not a Map: one that changes with every call leaves tables behind, each of which holds its calls and the next
   * table. Once one has grown old, the garbage collector takes all that come after it for such as live long.
   */
  readonly #watches: Watch[] = [];
  readonly #timer: NodeJS.Timeout;

  /** @param patiences all that calls may have: they decide how often is looked. */
  constructor(patiences: readonly Patience[]) {
    const shortest = Math.min(...patiences.flatMap(({ idleMs, totalMs }) => [idleMs, totalMs]).filter((ms) => ms > 0));
    const everyMs = Math.min(longestSweepMs, Math.max(shortestSweepMs, shortest / 4));
    this.#timer = setInterval(() => this.#sweep(), everyMs);
    this.#timer.unref();
  }

  watch(call: WatchedCall): Watch {
    const now = performance.now();
    const watch = { call, begunAt: now, movedAt: now, bytes: 0, place: this.#watches.length };
    this.#watches.push(watch);
    return watch;
  }

  /** Does nothing the second time. */
  forget(watch: Watch): void {
    if (this.#watches[watch.place] !== watch) return;
    const last = this.#watches.pop();
    if (last === undefined || last === watch) return;
    last.place = watch.place;
    this.#watches[watch.place] = last;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #sweep(): void {
    const now = performance.now();
    // From the end, because whoever is forgotten has the last one put into his place.
    for (let place = this.#watches.length - 1; place >= 0; place -= 1) {
      const watch = this.#watches[place];
      if (watch === undefined) continue;
      const { call, begunAt } = watch;
      const bytes = call.traffic.total;
      if (bytes !== watch.bytes) {
        watch.bytes = bytes;
        watch.movedAt = now;
      }
      const { idleMs, totalMs } = call.patience;
      const why = isOver(totalMs, now - begunAt) ? 'total' : isOver(idleMs, now - watch.movedAt) ? 'idle' : undefined;
      if (why === undefined) continue;
      this.forget(watch);
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
