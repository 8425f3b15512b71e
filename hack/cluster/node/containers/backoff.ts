const firstMs = 10_000;
const longestMs = 300_000;
/** After this long without a failure the delay begins anew. */
const forgetAfterMs = 600_000;

/** kubelet's delays between attempts: 10 s doubling to 5 min (client-go/util/flowcontrol). */
export class Backoff {
  readonly #first: number;
  #delayMs = 0;
  #updatedAt = 0;

  /** A crashed container's second attempt follows at once, a failed pull's does not. */
  constructor(second: 'at once' | 'delayed') {
    this.#first = second === 'at once' ? 0 : firstMs;
  }

  /** How long to wait after a failure at this time (milliseconds since 1970) before the next attempt. */
  next(failedAt: number): number {
    const forgotten = this.#delayMs === 0 || failedAt - this.#updatedAt > forgetAfterMs;
    const delayMs = forgotten ? this.#first : this.#delayMs;
    this.#delayMs = delayMs === 0 ? firstMs : Math.min(delayMs * 2, longestMs);
    this.#updatedAt = failedAt + delayMs;
    return delayMs;
  }
}
