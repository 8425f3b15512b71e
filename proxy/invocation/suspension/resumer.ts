import { ApiError, hasReason } from '../../../apis/machinery/errors.ts';
import { keyOf } from '../../../apis/machinery/meta.ts';
import type { Log } from '../../../apis/runtime/log.ts';
import { canResume } from '../../../apis/v1alpha1/suspension.ts';
import { ended, isNewer, readStoredActivity } from '../activity/stored-activity.ts';
import { recordOf, type SandboxSource } from '../sandbox-source.ts';
import type { SessionRecord } from '../session-record.ts';
import { awakening, resumption } from './changes.ts';
import { DeadlineQueue } from './deadline-queue.ts';
import { failurePauseMs } from './refusals.ts';
import { Slots } from './slots.ts';
import type { SuspensionWriter } from './suspension-writer.ts';

/** Attempts of one awakening that were overtaken by other writes. */
const mostAttempts = 6;
/** Who did not wake a session resumes it after this and at most as much again, if nobody has by then. */
const othersMs = 400;
/** How long a resume waits for its next try: this and at most as much again; longer with each conflict in a row. */
const afterConflictMs = 50;
const afterFailureMs = 2_000;
/** Writes at once: calls may come for very many sessions in one moment. */
const mostWrites = 16;

export interface ResumerOptions {
  sandboxes: SandboxSource;
  writer: SuspensionWriter;
  log: Log;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/**
 * Brings suspended sessions back: a call wakes one that was idle, and whichever replica sees that a session is wanted and
 * its old Pod is gone asks for the new one. What is left to do is in the stored state alone, so a killed process loses
 * nothing: another one, or the next, sees the same.
 */
export class Resumer {
  readonly #options: ResumerOptions;
  readonly #awakenings = new Map<string, Promise<void>>();
  /** Sessions that were woken here, until the watch shows it: the resourceVersion of that. */
  readonly #woken = new Map<string, string>();
  /** Sessions that calls of this process wait for: it goes first. */
  readonly #awaited = new Set<string>();
  readonly #resuming = new Set<string>();
  /** Conflicts since the watch last told of a session: while it lags behind, each try meets one. */
  readonly #conflicts = new Map<string, number>();
  /** Failures in a row that were no conflicts. */
  readonly #failures = new Map<string, number>();
  readonly #slots = new Slots(mostWrites);
  readonly #queue: DeadlineQueue;
  #unsubscribe: (() => void) | undefined;
  #stopped = false;

  constructor(options: ResumerOptions) {
    this.#options = options;
    this.#queue = new DeadlineQueue({ now: options.now, onDue: (key) => void this.#resume(key) });
  }

  /** Follows the sessions. Call it before the source starts. */
  start(): void {
    this.#unsubscribe = this.#options.sandboxes.onChange((key) => this.#changed(key));
  }

  stop(): void {
    this.#stopped = true;
    this.#unsubscribe?.();
    this.#queue.stop();
  }

  /**
   * Wakes a session that was suspended for being idle; of one that was not, nothing is changed. One write, however many
   * calls want it. Resolves when it is wanted again; its new Pod is told of by the watch.
   * @throws ApiError Gone when its time is over, ServiceUnavailable when it could not be woken.
   */
  async wake(record: SessionRecord): Promise<void> {
    if (record.suspension.wanted !== 'idle') return;
    const key = keyOf(record.session);
    const wokenAt = this.#woken.get(key);
    if (wokenAt !== undefined && isNewer(wokenAt, record.session.metadata.resourceVersion ?? '0')) return;
    const known = this.#awakenings.get(key);
    if (known !== undefined) return await known;
    const awakening = this.#wake(key, record).finally(() => this.#awakenings.delete(key));
    this.#awakenings.set(key, awakening);
    await awakening;
  }

  async #wake(key: string, record: SessionRecord): Promise<void> {
    const { writer, now, log } = this.#options;
    let known = record;
    this.#awaited.add(key);
    try {
      for (let attempt = 1; ; attempt += 1) {
        const stored = readStoredActivity(known);
        if (known.suspension.wanted !== 'idle' || stored === undefined) return this.#noteWoken(key, known);
        if (now() >= stored.endsAt) throw ended(stored);
        try {
          const from = known;
          const woken = await this.#slots.run(() => writer.write('wake', from, awakening(from, stored, now())));
          log.info('a call resumes a session that was suspended for being idle', { session: key });
          return this.#noteWoken(key, woken);
        } catch (error) {
          if (!hasReason(error, 'Conflict') || attempt === mostAttempts) throw error;
        }
        const stale = known;
        known = await this.#slots.run(() => writer.read(stale));
      }
    } catch (error) {
      this.#awaited.delete(key);
      // The directory says better what became of it.
      if (hasReason(error, 'NotFound')) return;
      if (hasReason(error, 'Gone')) throw error;
      const message = 'the session is suspended for being idle and could not be resumed; try again';
      throw new ApiError('ServiceUnavailable', message, { cause: error, retryAfterSeconds: 1 });
    }
  }

  #noteWoken(key: string, record: SessionRecord): void {
    const { resourceVersion = '0' } = record.session.metadata;
    const seen = recordOf(this.#options.sandboxes, key)?.session.metadata.resourceVersion ?? resourceVersion;
    if (isNewer(resourceVersion, seen)) this.#woken.set(key, resourceVersion);
    else this.#changed(key);
  }

  #changed(key: string): void {
    this.#conflicts.delete(key);
    const record = recordOf(this.#options.sandboxes, key);
    const wokenAt = this.#woken.get(key);
    const version = record?.session.metadata.resourceVersion;
    if (wokenAt !== undefined && (version === undefined || !isNewer(wokenAt, version))) this.#woken.delete(key);
    if (record === undefined || record.suspension.operatingMode === 'Running') this.#awaited.delete(key);
    if (record === undefined || !isToResume(record)) {
      this.#failures.delete(key);
      this.#queue.delete(key);
      return;
    }
    // What was refused is refused again: other changes of the session are no reason to try before its time.
    if (this.#failures.has(key) && this.#queue.has(key)) return;
    if (this.#awaited.has(key)) void this.#resume(key);
    else this.#queue.set(key, this.#options.now() + othersMs * (1 + Math.random()));
  }

  async #resume(key: string): Promise<void> {
    const { writer, log, now } = this.#options;
    const record = recordOf(this.#options.sandboxes, key);
    if (this.#resuming.has(key) || this.#stopped) return;
    if (record === undefined || !isToResume(record)) {
      this.#conflicts.delete(key);
      this.#failures.delete(key);
      return;
    }
    this.#resuming.add(key);
    this.#queue.delete(key);
    let pause = 0;
    try {
      await this.#slots.run(() => writer.write('resume', record, resumption(record, now())));
      this.#failures.delete(key);
      log.info('resumed a session', { session: key });
    } catch (error) {
      // The watch tells what was written instead; it may have done so before this answer came.
      if (hasReason(error, 'Conflict')) pause = this.#conflictPause(key);
      else if (!hasReason(error, 'NotFound')) pause = this.#failurePause(key, error);
      if (!hasReason(error, 'Conflict', 'NotFound') && !this.#stopped) {
        log.warn('a session could not be resumed, trying again', { session: key, error });
      }
    } finally {
      this.#resuming.delete(key);
    }
    if (pause > 0 && !this.#stopped) this.#queue.set(key, now() + pause * (1 + Math.random()));
  }

  #conflictPause(key: string): number {
    const before = this.#conflicts.get(key) ?? 0;
    this.#conflicts.set(key, before + 1);
    return Math.min(afterConflictMs * 2 ** before, afterFailureMs);
  }

  #failurePause(key: string, error: unknown): number {
    const before = this.#failures.get(key) ?? 0;
    this.#failures.set(key, before + 1);
    return failurePauseMs(error, before, afterFailureMs);
  }
}

function isToResume({ session, suspension }: SessionRecord): boolean {
  return (
    session.metadata.deletionTimestamp === undefined && session.status?.phase === 'Resuming' && canResume(suspension)
  );
}
