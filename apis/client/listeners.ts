import type { Log } from '../runtime/log.ts';

/** A listener that fails again and again is told of so often, not for each event. */
const toldEveryMs = 60_000;

/** Those who want to hear of something. One that throws is logged, and harms neither the others nor whoever tells. */
export class Listeners<Args extends unknown[]> {
  readonly #listeners = new Map<(...args: Args) => void, { toldAt: number }>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  /** The returned function ends it. */
  add(listener: (...args: Args) => void): () => void {
    this.#listeners.set(listener, { toldAt: Number.NEGATIVE_INFINITY });
    return () => this.#listeners.delete(listener);
  }

  tell(...args: Args): void {
    for (const [listener, state] of this.#listeners) {
      try {
        listener(...args);
      } catch (error) {
        if (performance.now() - state.toldAt < toldEveryMs) continue;
        state.toldAt = performance.now();
        this.#log.error('a listener of a watch failed, what it missed is lost to it', { error });
      }
    }
  }
}
