import { setTimeout as delay } from 'node:timers/promises';
import { ApiError, hasReason } from '../../../apis/machinery/errors.ts';
import type { Log } from '../../../apis/runtime/log.ts';
import { notFound } from '../errors.ts';
import type { SessionRecord } from '../session-record.ts';
import { type Flush, nextFlush } from './flush.ts';
import { FlushSchedule } from './flush-schedule.ts';
import type { FlushTimes } from './flush-times.ts';
import { type ActivityLease, Lease } from './lease.ts';
import type { ActivityMetrics } from './metrics.ts';
import type { SandboxWriter } from './sandbox-writer.ts';
import { SessionCalls } from './session-calls.ts';
import { ended, type StoredActivity } from './stored-activity.ts';
import { StoredState } from './stored-state.ts';
import { WatchProgress } from './watch-progress.ts';

/** How long a call waits for the watch to show that its session was suspended. */
const longestLagMs = 10_000;
/** Phases of a session whose Pod is going, or another one than a moment ago. */
const suspendedPhases: ReadonlySet<string> = new Set(['Suspending', 'Suspended', 'Resuming']);
const stopRetryMs = 250;
/** Failures that the next attempt may not meet. */
const passing = [
  'ServiceUnavailable',
  'TooManyRequests',
  'InternalError',
  'ServerTimeout',
  'Timeout',
  'Conflict',
] as const;

/** What the activity of every session shares. */
export interface ActivityContext {
  writer: SandboxWriter;
  flushTimes: FlushTimes;
  metrics: ActivityMetrics;
  log: Log;
  /** Milliseconds since the epoch. */
  now: () => number;
}

export interface SessionActivityOptions {
  /** `namespace/name`. */
  key: string;
  stored: StoredActivity;
  context: ActivityContext;
  /** Called when there is nothing left to remember, or nothing to remember it for. */
  onClosed: (activity: SessionActivity) => void;
}

/** The activity of one session in this process: calls in flight, what is not written yet, and its writes, one at a time. */
export class SessionActivity {
  readonly sandboxUid: string;
  readonly #key: string;
  readonly #context: ActivityContext;
  readonly #onClosed: (activity: SessionActivity) => void;
  readonly #calls: SessionCalls;
  readonly #schedule: FlushSchedule;
  readonly #watch: WatchProgress;
  readonly #state: StoredState;
  #timer: NodeJS.Timeout | undefined;
  #work: Promise<void> | undefined;
  #phase: 'open' | 'stopping' | 'closed' = 'open';

  constructor({ key, stored, context, onClosed }: SessionActivityOptions) {
    this.sandboxUid = stored.sandboxUid;
    this.#key = key;
    this.#context = context;
    this.#onClosed = onClosed;
    const { writer, flushTimes, metrics, now } = context;
    this.#calls = new SessionCalls(stored.lifetime.createdAt, now);
    this.#schedule = new FlushSchedule({ key, stored, flushTimes, now });
    this.#watch = new WatchProgress(stored.resourceVersion);
    this.#state = new StoredState({
      ...{ stored, writer, metrics },
      onNewer: (newer, record) => {
        flushTimes.observe(key, record);
        this.#schedule.changed(newer);
      },
      onGone: () => this.close(),
    });
  }

  /** Whether calls are in flight here, or activity is not stored yet. */
  get isInUse(): boolean {
    return this.#calls.areInFlight || this.#isPending();
  }

  /** A call begins. A promise only when the session is about to end or be suspended, or has ended; see {@link ActivityTracker.begin}. */
  begin(): ActivityLease | Promise<ActivityLease> {
    this.#calls.begin();
    if (this.#schedule.isUrgent) return this.#secured();
    this.#flushOrWait();
    return this.#lease();
  }

  /** A call waits for the session to start; see {@link ActivityTracker.wait}. */
  wait(): ActivityLease {
    const endWait = this.#calls.wait();
    if (this.#calls.awaitStart) this.#flushOrWait();
    return new Lease(() => {
      endWait();
      if (this.#work === undefined) this.#continue();
    });
  }

  /** The watch has brought the session as it is now. */
  changed(record: SessionRecord): void {
    const wasPending = this.#isPending();
    this.#state.learn(record);
    const { resourceVersion } = record.session.metadata;
    if (resourceVersion !== undefined) this.#watch.brought(resourceVersion);
    if (this.#phase !== 'open' || this.#work !== undefined) return;
    if (wasPending && !this.#isPending()) this.#context.metrics.flushed('superseded');
    this.#continue();
  }

  /** Writes what is pending, due or not, again and again until it is written or the signal aborts. */
  async stop(signal: AbortSignal): Promise<void> {
    if (this.#phase === 'open') this.#phase = 'stopping';
    clearTimeout(this.#timer);
    // Whoever waits for it is told how it ended.
    await this.#work?.catch(() => undefined);
    while (this.#isPending()) {
      try {
        await this.#flush(() => (this.#isPending() ? this.#nextFlush() : undefined));
        break;
      } catch (error) {
        if (this.#isClosed()) break;
        this.#failed(error);
        if (!hasReason(error, ...passing)) throw error;
        try {
          await delay(stopRetryMs, undefined, { signal });
        } catch {
          throw error;
        }
      }
    }
    this.close();
  }

  /** Forgets the session. */
  close(): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    clearTimeout(this.#timer);
    this.#state.end();
    this.#watch.end();
    this.#onClosed(this);
  }

  get #stored(): StoredActivity {
    return this.#state.current;
  }

  #lease(): ActivityLease {
    return new Lease(() => {
      this.#calls.end();
      this.#flushOrWait();
    });
  }

  #isClosed(): boolean {
    return this.#phase === 'closed';
  }

  #isPending(): boolean {
    return this.#phase !== 'closed' && this.#calls.activityAt > this.#stored.activityAt;
  }

  #flushOrWait(): void {
    if (this.#phase !== 'open' || this.#work !== undefined) return;
    if (this.#schedule.isDue && this.#isPending()) void this.#run(() => this.#flushDue());
    else if (this.#timer === undefined) this.#continue();
  }

  /** What comes next when nothing is being written: a later flush, or nothing. */
  #continue(): void {
    if (this.#phase !== 'open') return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const isPending = this.#isPending();
    if (this.#calls.areInFlight || this.#calls.awaitStart || isPending) {
      // What another clock has stored may lie ahead of ours; until that is over, a call in flight adds nothing to it.
      const waitMs = this.#schedule.waitMs(isPending ? {} : { notBefore: this.#stored.activityAt + 1 });
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#flushOrWait();
      }, waitMs);
      this.#timer.unref();
    } else if (this.#watch.has(this.#stored.resourceVersion)) {
      // Until the watch has brought our own write, forgetting it would have the next call write over an old version.
      this.close();
    }
  }

  /** Does one thing at kube-apiserver. */
  #run(task: () => Promise<void>): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const work = task().finally(() => {
      this.#work = undefined;
      this.#continue();
    });
    this.#work = work;
    return work;
  }

  async #flushDue(): Promise<void> {
    try {
      await this.#flush(() => (this.#isPending() && this.#schedule.isDue ? this.#nextFlush() : undefined));
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Hands out a lease once the session is sure to outlive the beginning of its call; a refused call is no activity. */
  async #secured(): Promise<ActivityLease> {
    try {
      while (!this.#isClosed() && this.#schedule.isUrgent) {
        await (this.#work ?? this.#run(() => this.#extend()));
      }
      if (this.#isClosed()) throw this.#gone();
      await this.#suspensionShown();
      return this.#lease();
    } catch (error) {
      this.#calls.refuse();
      // Whom the session was declared over to must not see it come back by what was called before.
      if (hasReason(error, 'Gone') && !this.#calls.areInFlight) this.close();
      if (this.#work === undefined) this.#continue();
      throw error;
    }
  }

  /** Moves the deadline before it is there; all that is known may be old, so a passed one is looked at again. */
  async #extend(): Promise<void> {
    const { now } = this.#context;
    let over: StoredActivity | undefined;
    try {
      if (now() >= this.#stored.endsAt) await this.#state.read();
      over = await this.#flush(() => {
        const flush = now() < this.#stored.endsAt && this.#schedule.isUrgent ? this.#nextFlush() : {};
        const moves =
          flush.endsAt !== undefined || (flush.activityAt !== undefined && this.#stored.suspendsAt < Infinity);
        return moves ? flush : undefined;
      });
    } catch (error) {
      if (this.#isClosed()) throw this.#gone();
      this.#failed(error);
      if (hasReason(error, 'ServiceUnavailable', 'TooManyRequests')) throw error;
      const message = 'the session is about to end, and its end could not be moved; try again';
      throw new ApiError('ServiceUnavailable', message, { cause: error, retryAfterSeconds: 1 });
    }
    if (this.#isClosed() || now() >= this.#stored.endsAt) throw this.#gone();
    if (over === undefined || now() < over.endsAt) return;
    // agent-sandbox's controller may have seen the old deadline pass, and then it does not look at the new one.
    const message = 'the session was about to end when this call came, and may not have been saved; try again';
    throw new ApiError('ServiceUnavailable', message, { retryAfterSeconds: 2 });
  }

  /** A session that was suspended meanwhile must be shown as such, or its caller would be sent to the Pod that is going. */
  async #suspensionShown(): Promise<void> {
    const { session, resourceVersion } = this.#stored;
    if (!suspendedPhases.has(session.status?.phase ?? '') || this.#watch.has(resourceVersion)) return;
    await this.#watch.reach(resourceVersion, longestLagMs);
    if (this.#isClosed()) throw this.#gone();
    if (this.#watch.has(resourceVersion)) return;
    const message = 'the session was suspended for being idle when this call came; try again';
    throw new ApiError('ServiceUnavailable', message, { retryAfterSeconds: 1 });
  }

  /** Writes what `decide` says. Returns what was written over; undefined when nothing was to be written. */
  async #flush(decide: () => Flush | undefined): Promise<StoredActivity | undefined> {
    const { over, conflicts } = await this.#state.write(decide);
    if (over !== undefined) this.#schedule.written();
    else if (conflicts > 0 && !this.#isPending()) this.#context.metrics.flushed('superseded');
    return over;
  }

  #nextFlush(): Flush {
    return nextFlush(this.#stored, this.#calls.activityAt);
  }

  #failed(error: unknown): void {
    if (this.#isClosed()) return;
    const { metrics, log } = this.#context;
    metrics.flushed('failed');
    const failures = this.#schedule.failed(error);
    const fields = { session: this.#key, error };
    if (failures === 1) log.warn('the activity of a session could not be stored, trying again', fields);
    else log.debug('the activity of a session could still not be stored', fields);
  }

  /** The error of a call for a session that is no more, or whose end has come. */
  #gone(): ApiError {
    const { endsAt, session } = this.#stored;
    return this.#context.now() >= endsAt ? ended(this.#stored) : notFound(session.metadata.name ?? '');
  }
}
