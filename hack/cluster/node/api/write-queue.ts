import { hasReason } from '../../../../apis/machinery/errors.ts';
import type { Log } from '../../../../apis/runtime/log.ts';
import { aborted, pause } from '../time.ts';

const firstRetryMs = 200;
const longestRetryMs = 5_000;

export interface WriteQueueOptions {
  /** How many writes are under way at once. */
  width: number;
  /** Further keys are refused while this many wait; unlimited when absent. */
  capacity?: number;
  log: Log;
}

/** One thing to write; it reads the newest state when it runs, so a late run never writes an old one. */
export type Write = (signal: AbortSignal) => Promise<void>;

/**
 * Writes to kube-apiserver: in the order they came, a few at a time, one at a time per key. A key that is put again
 * before its write began is written once; one that is put while its write runs is written once more. What fails for a
 * reason that may pass (no answer, overload, 5xx, a permission that was just granted) is tried again until it succeeds.
 */
export class WriteQueue {
  readonly #options: WriteQueueOptions;
  readonly #waiting = new Map<string, Write>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #stop = new AbortController();

  constructor(options: WriteQueueOptions) {
    this.#options = options;
  }

  /** Returns false when the queue is full or stopped and the write was dropped. */
  put(key: string, write: Write): boolean {
    if (this.#stop.signal.aborted) return false;
    if (!this.#waiting.has(key) && this.#waiting.size >= (this.#options.capacity ?? Number.POSITIVE_INFINITY)) {
      return false;
    }
    this.#waiting.set(key, write);
    this.#pump();
    return true;
  }

  /** Waits until all that was put is written, but no longer than this. */
  async idle(limitMs: number): Promise<void> {
    const limit = AbortSignal.timeout(limitMs);
    const late = aborted(limit);
    while (this.#running.size > 0 && !limit.aborted) await Promise.race([...this.#running.values(), late]);
  }

  /** Drops what has not begun and breaks off what has. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#waiting.clear();
    await Promise.all(this.#running.values());
  }

  #pump(): void {
    for (const [key, write] of this.#waiting) {
      if (this.#running.size >= this.#options.width) return;
      if (this.#running.has(key)) continue;
      this.#waiting.delete(key);
      const run = this.#run(key, write).finally(() => {
        this.#running.delete(key);
        this.#pump();
      });
      this.#running.set(key, run);
    }
  }

  async #run(key: string, write: Write): Promise<void> {
    for (let retryMs = firstRetryMs; !this.#stop.signal.aborted; retryMs = Math.min(retryMs * 2, longestRetryMs)) {
      try {
        await write(this.#stop.signal);
        return;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        if (!mayPass(error)) {
          this.#options.log.warn('kube-apiserver refused a write', { write: key, error });
          return;
        }
        const level = retryMs === longestRetryMs ? 'warn' : 'debug';
        this.#options.log[level]('a write failed and is tried again', { write: key, retryMs, error });
        await pause(retryMs * (0.5 + Math.random()), this.#stop.signal);
      }
    }
  }
}

function mayPass(error: unknown): boolean {
  return hasReason(
    error,
    'ServiceUnavailable',
    'ServerTimeout',
    'Timeout',
    'TooManyRequests',
    'InternalError',
    'Forbidden',
    'Unauthorized',
  );
}
