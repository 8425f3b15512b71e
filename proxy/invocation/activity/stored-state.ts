import { hasReason } from '../../../apis/machinery/errors.ts';
import type { SessionRecord } from '../session-record.ts';
import type { Flush } from './flush.ts';
import type { ActivityMetrics } from './metrics.ts';
import type { SandboxWriter } from './sandbox-writer.ts';
import { isNewer, readStoredActivity, type StoredActivity } from './stored-activity.ts';

/** Attempts of one flush that were overtaken by other writes. */
const mostAttempts = 5;

export interface StoredStateOptions {
  stored: StoredActivity;
  writer: SandboxWriter;
  metrics: ActivityMetrics;
  /** Called with every newer state. */
  onNewer: (stored: StoredActivity, record: SessionRecord) => void;
  /** Called when the session is gone, is another one now, or ends by itself. */
  onGone: () => void;
}

/** What came of a flush. */
interface Flushed {
  /** What was written over; undefined when nothing was to be written. */
  over: StoredActivity | undefined;
  /** How often somebody else's write came in between. */
  conflicts: number;
}

/** The newest state known of one session, whoever brought it, and what is written over just that. */
export class StoredState {
  readonly #options: StoredStateOptions;
  #current: StoredActivity;
  #isOver = false;

  constructor(options: StoredStateOptions) {
    this.#options = options;
    this.#current = options.stored;
  }

  get current(): StoredActivity {
    return this.#current;
  }

  /** Nothing is learned any more: the answer to a write may come after the watch has told that the session is gone. */
  end(): void {
    this.#isOver = true;
  }

  /** Takes a state of the session, if it is a newer one. */
  learn(record: SessionRecord): void {
    if (this.#isOver) return;
    const stored = readStoredActivity(record);
    if (stored === undefined || stored.sandboxUid !== this.#current.sandboxUid) {
      this.#options.onGone();
      return;
    }
    if (!isNewer(stored.resourceVersion, this.#current.resourceVersion)) return;
    this.#current = stored;
    this.#options.onNewer(stored, record);
  }

  /**
   * Learns what is stored now.
   * @throws ApiError NotFound, and whatever kube-apiserver answers.
   */
  async read(): Promise<void> {
    const { writer } = this.#options;
    await this.#unlessGone(async () => this.learn(await writer.read(this.#current.session)));
  }

  /**
   * Writes what `decide` says, and lets it decide again after a write of somebody else's.
   * @throws ApiError Conflict when there were too many of those, NotFound, and whatever kube-apiserver answers.
   */
  async write(decide: () => Flush | undefined): Promise<Flushed> {
    const { writer, metrics } = this.#options;
    for (let conflicts = 0; ; conflicts += 1) {
      const flush = decide();
      if (flush === undefined) return { over: undefined, conflicts };
      const over = this.#current;
      try {
        await this.#unlessGone(async () => this.learn(await writer.write(over, flush)));
        metrics.flushed('written');
        return { over, conflicts };
      } catch (error) {
        if (!hasReason(error, 'Conflict') || conflicts + 1 === mostAttempts) throw error;
        metrics.flushed('conflict');
        if (this.#current === over) await this.read();
      }
    }
  }

  async #unlessGone(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      if (hasReason(error, 'NotFound')) this.#options.onGone();
      throw error;
    }
  }
}
