import { hasReason } from '../../../apis/machinery/errors.ts';
import type { Log } from '../../../apis/runtime/log.ts';
import { noticeMs } from '../../../apis/v1alpha1/session-update.ts';
import { readStoredActivity } from '../activity/stored-activity.ts';
import { recordOf, type SandboxSource } from '../sandbox-source.ts';
import type { SessionRecord } from '../session-record.ts';
import { idleSuspension } from './changes.ts';
import { DeadlineQueue } from './deadline-queue.ts';
import { failurePauseMs } from './refusals.ts';
import type { SuspensionWriter } from './suspension-writer.ts';

/** Replicas spread what is due over this time, so that they seldom meet at the same session. */
const jitterMs = 2_000;
/** Writes at once: all sessions may be due in the same second. */
const mostWrites = 16;
/** How long a session that could not be suspended, or is in use here, is left alone: this and at most as much again. */
const pauseMs = 5_000;

export interface IdleSuspenderOptions {
  sandboxes: SandboxSource;
  writer: SuspensionWriter;
  /** Whether this process has calls of a session in flight, or activity of it that is not stored yet. */
  isInUse: (key: string) => boolean;
  log: Log;
  /** Milliseconds since the epoch. */
  now: () => number;
}

interface Watched {
  /** What decides when a session is idle, besides its activity. */
  terms: string;
  /** From when on it may be suspended: others may have it in use, and write that when they see the same terms. */
  notBefore: number;
  /** Attempts in a row that failed. */
  failures: number;
}

/**
 * Suspends sessions that are idle. Every replica does, from what is stored alone; the first write wins. Sessions in use
 * elsewhere are never idle by what is stored, because their use is written sooner than that.
 */
export class IdleSuspender {
  readonly #options: IdleSuspenderOptions;
  readonly #watched = new Map<string, Watched>();
  readonly #queue: DeadlineQueue;
  readonly #waiting: string[] = [];
  #writing = 0;
  #unsubscribe: (() => void) | undefined;
  #stopped = false;

  constructor(options: IdleSuspenderOptions) {
    this.#options = options;
    this.#queue = new DeadlineQueue({ now: options.now, onDue: (key) => this.#due(key) });
  }

  /** Sessions that will be suspended if nobody uses them. */
  get size(): number {
    return this.#watched.size;
  }

  /** Follows the sessions. Call it before the source starts. */
  start(): void {
    this.#unsubscribe = this.#options.sandboxes.onChange((key) => this.#changed(key));
  }

  stop(): void {
    this.#stopped = true;
    this.#unsubscribe?.();
    this.#queue.stop();
    this.#watched.clear();
  }

  #changed(key: string): void {
    const record = recordOf(this.#options.sandboxes, key);
    const at = record === undefined ? undefined : this.#suspendsAt(record);
    if (record === undefined || at === undefined) {
      this.#forget(key);
      return;
    }
    const terms = `${record.sandboxUid} ${record.session.spec.idleTimeout}`;
    let watched = this.#watched.get(key);
    if (watched?.terms !== terms) {
      watched = { terms, notBefore: this.#options.now() + noticeMs, failures: 0 };
      this.#watched.set(key, watched);
    }
    // What is overdue is so at every replica.
    this.#queue.set(key, Math.max(at, watched.notBefore, this.#options.now()) + Math.random() * jitterMs);
  }

  #due(key: string): void {
    this.#waiting.push(key);
    this.#next();
  }

  #next(): void {
    while (this.#writing < mostWrites && !this.#stopped) {
      const key = this.#waiting.shift();
      if (key === undefined) return;
      const record = recordOf(this.#options.sandboxes, key);
      if (record === undefined) continue;
      if (!this.#isIdle(record)) this.#changed(key);
      else if (this.#options.isInUse(key)) this.#pause(key);
      else void this.#suspend(key, record);
    }
  }

  async #suspend(key: string, record: SessionRecord): Promise<void> {
    const { writer, log, now } = this.#options;
    this.#writing += 1;
    try {
      await writer.write('suspend', record, idleSuspension(now()));
      log.info('suspended a session that was idle', { session: key });
    } catch (error) {
      if (this.#stopped) return;
      // Whatever was written instead comes by the watch, if it is not there already.
      if (hasReason(error, 'Conflict', 'NotFound')) {
        this.#changed(key);
      } else {
        this.#failed(key, error);
      }
    } finally {
      this.#writing -= 1;
      this.#next();
    }
  }

  /** Whatever changes of the session meanwhile, it is not tried again before its time. */
  #failed(key: string, error: unknown): void {
    const watched = this.#watched.get(key);
    if (watched === undefined) return;
    const pause = failurePauseMs(error, watched.failures, pauseMs) * (1 + Math.random());
    watched.failures += 1;
    watched.notBefore = this.#options.now() + pause;
    this.#queue.set(key, watched.notBefore);
    const level = watched.failures === 1 ? 'warn' : 'debug';
    this.#options.log[level]('an idle session could not be suspended, trying again', { session: key, pause, error });
  }

  #pause(key: string): void {
    if (this.#watched.has(key)) this.#queue.set(key, this.#options.now() + pauseMs * (1 + Math.random()));
  }

  #isIdle(record: SessionRecord): boolean {
    const at = this.#suspendsAt(record);
    return at !== undefined && at <= this.#options.now();
  }

  #suspendsAt(record: SessionRecord): number | undefined {
    const stored = readStoredActivity(record);
    // Whoever ends sooner than that is not worth a write.
    return stored === undefined || stored.suspendsAt >= stored.endsAt ? undefined : stored.suspendsAt;
  }

  #forget(key: string): void {
    this.#watched.delete(key);
    this.#queue.delete(key);
  }
}
