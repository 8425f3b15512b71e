/** All in milliseconds. */
export interface BackoffTimes {
  firstMs: number;
  longestMs: number;
}

/** kubelet's: 10 s doubling to 5 min. */
export const kubeletBackoff: BackoffTimes = { firstMs: 10_000, longestMs: 300_000 };

/** Delays between attempts that double; after twice the longest one without a failure they begin anew (client-go/util/flowcontrol). */
export class Backoff {
  readonly #second: 'at once' | 'delayed';
  readonly #times: BackoffTimes;
  #delayMs = 0;
  #updatedAt = 0;

  /** A crashed container's second attempt follows at once, a failed pull's does not. */
  constructor(second: 'at once' | 'delayed', times: BackoffTimes) {
    this.#second = second;
    this.#times = times;
  }

  /** How long to wait after a failure at this time (milliseconds since 1970) before the next attempt. */
  next(failedAt: number): number {
    const { firstMs, longestMs } = this.#times;
    const forgotten = this.#delayMs === 0 || failedAt - this.#updatedAt > 2 * longestMs;
    const first = this.#second === 'at once' ? 0 : firstMs;
    const delayMs = forgotten ? first : this.#delayMs;
    this.#delayMs = delayMs === 0 ? firstMs : Math.min(delayMs * 2, longestMs);
    this.#updatedAt = failedAt + delayMs;
    return delayMs;
  }
}
