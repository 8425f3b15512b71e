import { wholeSecond } from '../../../apis/v1alpha1/deadline.ts';

/** How long after its creation a session is kept by calls that wait for its start. */
const startMs = 60_000;

/** The calls of one session in this process: how many there are, and when the session was last in use by them. */
export class SessionCalls {
  /** Until when calls that wait keep the session. */
  readonly #startsUntil: number;
  readonly #now: () => number;
  #inFlight = 0;
  /** Calls that wait for the session to start. */
  #waiting = 0;
  #lastEndAt = 0;

  /** Times are milliseconds since the epoch. */
  constructor(createdAt: number, now: () => number) {
    this.#startsUntil = createdAt + startMs;
    this.#now = now;
  }

  get areInFlight(): boolean {
    return this.#inFlight > 0;
  }

  /** Whether calls wait for the session to start, and it is young enough to be kept for them. */
  get awaitStart(): boolean {
    return this.#waiting > 0 && this.#now() < this.#startsUntil;
  }

  /** The last activity here, as it would be stored: milliseconds since the epoch, a whole second. */
  get activityAt(): number {
    const now = this.#now();
    if (this.#inFlight > 0) return wholeSecond(now);
    const waitedAt = this.#waiting > 0 ? Math.min(now, this.#startsUntil) : 0;
    return wholeSecond(Math.max(this.#lastEndAt, waitedAt));
  }

  begin(): void {
    this.#inFlight += 1;
  }

  end(): void {
    this.#inFlight -= 1;
    this.#lastEndAt = Math.max(this.#lastEndAt, this.#now());
  }

  /** A call that had begun was not let through: it is no activity. */
  refuse(): void {
    this.#inFlight -= 1;
  }

  /** A call waits for the session to start. Returns the end of that. */
  wait(): () => void {
    if (this.#now() >= this.#startsUntil) return () => undefined;
    this.#waiting += 1;
    return () => {
      this.#waiting -= 1;
    };
  }
}
