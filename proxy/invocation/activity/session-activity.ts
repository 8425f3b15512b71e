import { setTimeout as delay } from 'node:timers/promises';
import { ApiError, hasReason } from '../../../apis/machinery/errors.ts';
import type { Log } from '../../../apis/runtime/log.ts';
import { endAfter, wholeSecond } from '../../../apis/v1alpha1/deadline.ts';
import { notFound } from '../errors.ts';
import type { SessionRecord } from '../session-record.ts';
import type { FlushTimes } from './flush-times.ts';
import type { ActivityMetrics } from './metrics.ts';
import type { Flush, SandboxWriter } from './sandbox-writer.ts';
import { ended, isNewer, readStoredActivity, type StoredActivity } from './stored-activity.ts';

/** With less than this left, a call must not begin before the deadline was moved. */
const marginMs = 5_000;
/**
 * With less than this left until a session is suspended for being idle, a call must not begin before its use was written:
 * another replica's clock may be ahead, and its write would take the Pod away under the call.
 */
const suspensionMarginMs = 10_000;
/** How long after its creation a session is kept by calls that wait for its start. */
const startMs = 60_000;
/** How long a call waits for the watch to show that its session was suspended. */
const longestLagMs = 10_000;
/** Phases of a session whose Pod is going, or another one than a moment ago. */
const suspendedPhases: ReadonlySet<string> = new Set(['Suspending', 'Suspended', 'Resuming']);
/** Flushes are spread over this part of the interval, so that replicas with the same session seldom meet. */
const jitter = 0.1;
/** Attempts of one flush that were overtaken by other writes, until it waits as after a failure. */
const mostAttempts = 5;
const firstRetryMs = 1_000;
const longestRetryMs = 30_000;
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
/** The longest delay that a timer can have. */
const longestTimerMs = 2 ** 31 - 1;

/** A call that keeps its session alive until it is ended. */
export interface ActivityLease {
  /** The call is over. Anything but the first time does nothing. */
  end(): void;
}

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
  #stored: StoredActivity;
  /** resourceVersion up to which the watch has come. */
  #seenVersion: string;
  #inFlight = 0;
  /** Calls that wait for the session to start. */
  #waiting = 0;
  #lastAt = 0;
  /** When what is pending is to be written. */
  #dueAt = 0;
  /** From when on a call has to wait until the deadline was moved. */
  #urgentAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #work: Promise<void> | undefined;
  #failures = 0;
  #retryAt = 0;
  #state: 'open' | 'stopping' | 'closed' = 'open';
  /** Called with every state that the watch brings. */
  readonly #onSeen = new Set<() => void>();

  constructor({ key, stored, context, onClosed }: SessionActivityOptions) {
    this.sandboxUid = stored.sandboxUid;
    this.#key = key;
    this.#context = context;
    this.#onClosed = onClosed;
    this.#stored = stored;
    this.#seenVersion = stored.resourceVersion;
    this.#reschedule();
  }

  /** Whether calls are in flight here, or activity is not stored yet. */
  get isInUse(): boolean {
    return this.#inFlight > 0 || this.#isPending();
  }

  /** A call begins. A promise only when the session is about to end or be suspended, or has ended; see {@link ActivityTracker.begin}. */
  begin(): ActivityLease | Promise<ActivityLease> {
    const now = this.#context.now();
    this.#inFlight += 1;
    if (now >= this.#urgentAt) return this.#secured();
    this.#flushOrWait(now);
    return this.#lease();
  }

  /** A call waits for the session to start; see {@link ActivityTracker.wait}. */
  wait(): ActivityLease {
    const now = this.#context.now();
    const counted = now < this.#startsUntil ? 1 : 0;
    this.#waiting += counted;
    const end = () => {
      this.#waiting -= counted;
      if (this.#work === undefined) this.#continue();
    };
    if (counted > 0) this.#flushOrWait(now);
    return new Lease(end);
  }

  /** A call is over. */
  #callEnded(): void {
    const now = this.#context.now();
    this.#inFlight -= 1;
    this.#lastAt = Math.max(this.#lastAt, now);
    this.#flushOrWait(now);
  }

  /** The watch has brought the session as it is now. */
  changed(record: SessionRecord): void {
    const wasPending = this.#isPending();
    this.#seenVersion = record.session.metadata.resourceVersion ?? this.#seenVersion;
    this.#learn(record);
    for (const seen of this.#onSeen) seen();
    if (this.#state !== 'open' || this.#work !== undefined) return;
    if (wasPending && !this.#isPending()) this.#context.metrics.flushed('superseded');
    this.#continue();
  }

  /** Writes what is pending, due or not, again and again until it is written or the signal aborts. */
  async stop(signal: AbortSignal): Promise<void> {
    if (this.#state === 'open') this.#state = 'stopping';
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
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    clearTimeout(this.#timer);
    for (const seen of this.#onSeen) seen();
    this.#onClosed(this);
  }

  /** The last activity here, as it would be stored. */
  get #activityAt(): number {
    const now = this.#context.now();
    if (this.#inFlight > 0) return wholeSecond(now);
    const waitedAt = this.#waiting > 0 ? Math.min(now, this.#startsUntil) : 0;
    return wholeSecond(Math.max(this.#lastAt, waitedAt));
  }

  /** Until when calls that wait keep the session. */
  get #startsUntil(): number {
    return this.#stored.lifetime.createdAt + startMs;
  }

  #lease(): ActivityLease {
    return new Lease(() => this.#callEnded());
  }

  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  #isPending(): boolean {
    return this.#state !== 'closed' && this.#activityAt > this.#stored.activityAt;
  }

  #flushOrWait(now: number): void {
    if (this.#state !== 'open' || this.#work !== undefined) return;
    if (now >= this.#dueAt && this.#isPending()) void this.#run(() => this.#flushDue());
    else if (this.#timer === undefined) this.#continue();
  }

  /** What comes next when nothing is being written: a later flush, or nothing. */
  #continue(): void {
    if (this.#state !== 'open') return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const isPending = this.#isPending();
    const isStarting = this.#waiting > 0 && this.#context.now() < this.#startsUntil;
    if (this.#inFlight > 0 || isStarting || isPending) {
      // What another clock has stored may lie ahead of ours; until that is over, a call in flight adds nothing to it.
      const at = isPending ? this.#dueAt : Math.max(this.#dueAt, this.#stored.activityAt + 1);
      const waitMs = Math.min(Math.max(0, at - this.#context.now()), longestTimerMs);
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#flushOrWait(this.#context.now());
      }, waitMs);
      this.#timer.unref();
    } else if (!isNewer(this.#stored.resourceVersion, this.#seenVersion)) {
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
      await this.#flush(() =>
        this.#isPending() && this.#context.now() >= this.#dueAt ? this.#nextFlush() : undefined,
      );
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Hands out a lease once the session is sure to outlive the beginning of its call; a refused call is no activity. */
  async #secured(): Promise<ActivityLease> {
    try {
      while (!this.#isClosed() && this.#context.now() >= this.#urgentAt) {
        await (this.#work ?? this.#run(() => this.#extend()));
      }
      if (this.#isClosed()) throw this.#gone();
      await this.#suspensionShown();
      return this.#lease();
    } catch (error) {
      this.#inFlight -= 1;
      // Whom the session was declared over to must not see it come back by what was called before.
      if (hasReason(error, 'Gone') && this.#inFlight === 0) this.close();
      if (this.#work === undefined) this.#continue();
      throw error;
    }
  }

  /** Moves the deadline before it is there; all that is known may be old, so a passed one is looked at again. */
  async #extend(): Promise<void> {
    const { now, writer } = this.#context;
    let over: StoredActivity | undefined;
    try {
      if (now() >= this.#stored.endsAt) this.#learn(await writer.read(this.#stored.session));
      over = await this.#flush(() => {
        const flush = now() < this.#stored.endsAt && now() >= this.#urgentAt ? this.#nextFlush() : {};
        const moves =
          flush.endsAt !== undefined || (flush.activityAt !== undefined && this.#stored.suspendsAt < Infinity);
        return moves ? flush : undefined;
      });
    } catch (error) {
      if (hasReason(error, 'NotFound')) this.close();
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
    const isShown = () => !isNewer(this.#stored.resourceVersion, this.#seenVersion);
    if (!suspendedPhases.has(this.#stored.session.status?.phase ?? '') || isShown()) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const seen = () => {
      if (isShown() || this.#isClosed()) resolve();
    };
    this.#onSeen.add(seen);
    const timer = setTimeout(resolve, longestLagMs);
    await promise;
    clearTimeout(timer);
    this.#onSeen.delete(seen);
    if (this.#isClosed()) throw this.#gone();
    if (isShown()) return;
    const message = 'the session was suspended for being idle when this call came; try again';
    throw new ApiError('ServiceUnavailable', message, { retryAfterSeconds: 1 });
  }

  /**
   * Writes what `decide` says, and lets it decide again after a write of somebody else's. Returns what was written over;
   * undefined when nothing was to be written.
   */
  async #flush(decide: () => Flush | undefined): Promise<StoredActivity | undefined> {
    const { writer, metrics } = this.#context;
    for (let attempt = 1; ; attempt += 1) {
      const flush = decide();
      if (flush === undefined) {
        if (attempt > 1 && !this.#isPending()) metrics.flushed('superseded');
        return undefined;
      }
      const over = this.#stored;
      try {
        this.#learn(await writer.write(over, flush));
        metrics.flushed('written');
        this.#failures = 0;
        return over;
      } catch (error) {
        if (hasReason(error, 'NotFound')) this.close();
        if (!hasReason(error, 'Conflict') || attempt === mostAttempts) throw error;
        metrics.flushed('conflict');
        if (this.#stored === over) await this.#reread();
      }
    }
  }

  async #reread(): Promise<void> {
    try {
      this.#learn(await this.#context.writer.read(this.#stored.session));
    } catch (error) {
      if (hasReason(error, 'NotFound')) this.close();
      throw error;
    }
  }

  /** What is to be written now. The deadline only ever moves forward; that of nobody's making stays. */
  #nextFlush(): Flush {
    const { activityAt, endsAt, lifetime } = this.#stored;
    const newest = Math.max(this.#activityAt, activityAt);
    const end = endAfter(lifetime, newest);
    return {
      ...(newest > activityAt ? { activityAt: newest } : {}),
      ...(end > endsAt || endsAt === Number.POSITIVE_INFINITY ? { endsAt: end } : {}),
    };
  }

  /** Takes a newer state of the session; one that is another's, or ends by itself, is the end of this. */
  #learn(record: SessionRecord): void {
    // The answer to a write may come after the watch has told that the session is gone.
    if (this.#isClosed()) return;
    const stored = readStoredActivity(record);
    if (stored === undefined || stored.sandboxUid !== this.sandboxUid) {
      this.close();
      return;
    }
    if (!isNewer(stored.resourceVersion, this.#stored.resourceVersion)) return;
    this.#stored = stored;
    this.#context.flushTimes.observe(this.#key, record);
    this.#reschedule();
  }

  #reschedule(): void {
    const { lifetime, intervalMs, endsAt, latestEnd } = this.#stored;
    const canMove = endsAt < latestEnd;
    const { suspendsAt } = this.#stored;
    const suspensionMargin = Math.min(suspensionMarginMs, lifetime.idleTimeoutMs);
    this.#urgentAt = Math.min(canMove ? endsAt - marginMs : endsAt, suspendsAt - suspensionMargin);
    const regular = (this.#context.flushTimes.get(this.#key) ?? lifetime.createdAt) + intervalMs;
    // Overdue is now; what is due later may as well be due a little later than at the other replicas.
    const due = regular <= this.#context.now() ? regular : regular + Math.random() * jitter * intervalMs;
    this.#dueAt = Math.max(canMove ? Math.min(due, this.#urgentAt) : due, this.#retryAt);
  }

  #failed(error: unknown): void {
    if (this.#isClosed()) return;
    const { metrics, log, now } = this.#context;
    metrics.flushed('failed');
    this.#failures += 1;
    const longest = Math.min(longestRetryMs, Math.max(firstRetryMs, this.#stored.intervalMs / 4));
    const waitMs = Math.min(longest, firstRetryMs * 2 ** (this.#failures - 1)) * (0.5 + Math.random());
    const askedMs = error instanceof ApiError ? (error.retryAfterSeconds ?? 0) * 1_000 : 0;
    this.#retryAt = now() + Math.max(waitMs, askedMs);
    this.#reschedule();
    const fields = { session: this.#key, error };
    if (this.#failures === 1) log.warn('the activity of a session could not be stored, trying again', fields);
    else log.debug('the activity of a session could still not be stored', fields);
  }

  /** The error of a call for a session that is no more, or whose end has come. */
  #gone(): ApiError {
    const { endsAt, session } = this.#stored;
    return this.#context.now() >= endsAt ? ended(this.#stored) : notFound(session.metadata.name ?? '');
  }
}

class Lease implements ActivityLease {
  #onEnd: (() => void) | undefined;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  end(): void {
    this.#onEnd?.();
    this.#onEnd = undefined;
  }
}
