import { ApiError } from '../../../apis/machinery/errors.ts';
import { longestTimerMs } from '../../../apis/machinery/time.ts';
import type { FlushTimes } from './flush-times.ts';
import type { StoredActivity } from './stored-activity.ts';

/** With less than this left, a call must not begin before the deadline was moved. */
const marginMs = 5_000;
/**
 * With less than this left until a session is suspended for being idle, a call must not begin before its use was written:
 * another replica's clock may be ahead, and its write would take the Pod away under the call.
 */
const suspensionMarginMs = 10_000;
/** Flushes are spread over this part of the interval, so that replicas with the same session seldom meet. */
const jitter = 0.1;
const firstRetryMs = 1_000;
const longestRetryMs = 30_000;

export interface FlushScheduleOptions {
  /** `namespace/name`. */
  key: string;
  stored: StoredActivity;
  flushTimes: FlushTimes;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/** When the activity of one session is to be written: each interval, before its end, and again after a failure. */
export class FlushSchedule {
  readonly #key: string;
  readonly #flushTimes: FlushTimes;
  readonly #now: () => number;
  #stored: StoredActivity;
  /** When what is pending is to be written. */
  #dueAt = 0;
  /** From when on a call has to wait until the deadline was moved. */
  #urgentAt = 0;
  #failures = 0;
  #retryAt = 0;

  constructor({ key, stored, flushTimes, now }: FlushScheduleOptions) {
    this.#key = key;
    this.#flushTimes = flushTimes;
    this.#now = now;
    this.#stored = stored;
    this.#plan();
  }

  /** Whether what is pending is to be written now. */
  get isDue(): boolean {
    return this.#now() >= this.#dueAt;
  }

  /** Whether the session would end, or be suspended, so soon that no call may begin before its use was written. */
  get isUrgent(): boolean {
    return this.#now() >= this.#urgentAt;
  }

  /** How long a timer has to wait until a flush is due, and not before a time. */
  waitMs({ notBefore = 0 } = {}): number {
    const at = Math.max(this.#dueAt, notBefore);
    return Math.min(Math.max(0, at - this.#now()), longestTimerMs);
  }

  /** The session is stored in a newer state. */
  changed(stored: StoredActivity): void {
    this.#stored = stored;
    this.#plan();
  }

  written(): void {
    this.#failures = 0;
  }

  /** A flush failed: the next one waits, longer with each failure in a row. Returns how many these are. */
  failed(error: unknown): number {
    this.#failures += 1;
    const longest = Math.min(longestRetryMs, Math.max(firstRetryMs, this.#stored.intervalMs / 4));
    const waitMs = Math.min(longest, firstRetryMs * 2 ** (this.#failures - 1)) * (0.5 + Math.random());
    const askedMs = error instanceof ApiError ? (error.retryAfterSeconds ?? 0) * 1_000 : 0;
    this.#retryAt = this.#now() + Math.max(waitMs, askedMs);
    this.#plan();
    return this.#failures;
  }

  #plan(): void {
    const { lifetime, intervalMs, endsAt, latestEnd, suspendsAt } = this.#stored;
    const canMove = endsAt < latestEnd;
    const suspensionMargin = Math.min(suspensionMarginMs, lifetime.idleTimeoutMs);
    this.#urgentAt = Math.min(canMove ? endsAt - marginMs : endsAt, suspendsAt - suspensionMargin);
    const regular = (this.#flushTimes.get(this.#key) ?? lifetime.createdAt) + intervalMs;
    // Overdue is now; what is due later may as well be due a little later than at the other replicas.
    const due = regular <= this.#now() ? regular : regular + Math.random() * jitter * intervalMs;
    this.#dueAt = Math.max(canMove ? Math.min(due, this.#urgentAt) : due, this.#retryAt);
  }
}
