import type { Log } from '../../apis/runtime/log.ts';

const firstBackoffMs = 200;
const longestBackoffMs = 30_000;

export interface WorkQueueOptions {
  /** Brings one key to the state it should have; returns after how many milliseconds to look again, if at all. */
  work: (key: string) => Promise<number | undefined>;
  log: Log;
  /** How many keys are worked on at once. */
  workers: number;
}

/**
 * Keys that need a look, each worked on by one at a time: a key that is added meanwhile gets another turn, and one whose work
 * failed comes again, later each time (after client-go's util/workqueue).
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #waiting = new Set<string>();
  readonly #working = new Map<string, Promise<void>>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #failures = new Map<string, number>();
  #stopped = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  add(key: string): void {
    if (this.#stopped) return;
    this.#waiting.add(key);
    this.#next();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#waiting.clear();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    await Promise.all(this.#working.values());
  }

  #next(): void {
    for (const key of this.#waiting) {
      if (this.#working.size >= this.#options.workers) return;
      if (this.#working.has(key)) continue;
      this.#waiting.delete(key);
      this.#working.set(key, this.#work(key));
    }
  }

  async #work(key: string): Promise<void> {
    // Everything that happens on this tick is seen by one turn.
    await Promise.resolve();
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
    try {
      const again = await this.#options.work(key);
      this.#failures.delete(key);
      if (again !== undefined) this.#addAfter(key, again);
    } catch (error) {
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      const backoffMs = Math.min(firstBackoffMs * 2 ** (failures - 1), longestBackoffMs);
      if (!this.#stopped) this.#options.log.warn('keeping a runtime failed, trying again', { key, backoffMs, error });
      this.#addAfter(key, backoffMs * (0.5 + Math.random()));
    }
    this.#working.delete(key);
    this.#next();
  }

  #addAfter(key: string, ms: number): void {
    if (this.#stopped) return;
    const timer = setTimeout(() => this.add(key), ms);
    timer.unref();
    this.#timers.set(key, timer);
  }
}
