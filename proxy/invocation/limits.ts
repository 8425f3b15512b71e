import { ApiError } from '../../apis/machinery/errors.ts';

/** How many calls may be in flight in one process at once, streams and upgraded connections among them. */
export interface InFlightLimits {
  total: number;
  perUser: number;
  perSession: number;
}

export const defaultLimits: InFlightLimits = { total: 4000, perUser: 2000, perSession: 1000 };

/** From this part of the total on, nobody gets more than an equal share of it, so that a newcomer finds room. */
const contended = 0.75;
const retryAfterSeconds = 1;

/** Counts calls in flight and refuses those above a limit: at once and with a reason, because a queue would only hide it. */
export class InFlight {
  readonly #limits: InFlightLimits;
  readonly #users = new Map<string, number>();
  readonly #sessions = new Map<string, number>();
  #total = 0;

  constructor(limits: InFlightLimits) {
    this.#limits = limits;
  }

  /**
   * Takes a place for a call; {@link leave} gives it back.
   * @throws ApiError TooManyRequests, with the limit that was met.
   */
  enter(user: string, session: string): void {
    const ofUser = this.#users.get(user) ?? 0;
    const ofSession = this.#sessions.get(session) ?? 0;
    const { total, perUser, perSession } = this.#limits;
    if (this.#total >= total) throw full('of all users in this process', total);
    if (ofSession >= perSession) throw full('of this session', perSession);
    if (ofUser >= perUser) throw full('of yours', perUser);
    if (this.#total >= contended * total) {
      const users = this.#users.size + (ofUser === 0 ? 1 : 0);
      const share = Math.max(1, Math.floor(total / users));
      if (ofUser >= share) throw full(`of yours while ${users} users share this process`, share);
    }
    this.#total += 1;
    this.#users.set(user, ofUser + 1);
    this.#sessions.set(session, ofSession + 1);
  }

  leave(user: string, session: string): void {
    this.#total -= 1;
    decrement(this.#users, user);
    decrement(this.#sessions, session);
  }
}

function decrement(counts: Map<string, number>, key: string): void {
  const count = counts.get(key) ?? 0;
  if (count <= 1) counts.delete(key);
  else counts.set(key, count - 1);
}

function full(whose: string, limit: number): ApiError {
  const message = `too many calls in flight: the limit ${whose} is ${limit}; wait until some have ended, then try again`;
  return new ApiError('TooManyRequests', message, { retryAfterSeconds });
}
