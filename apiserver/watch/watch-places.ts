import { ApiError } from '../../apis/machinery/errors.ts';

/** Watches cost kilobytes each for as long as they last, which their users decide: nobody may fill the memory of all. */
export class WatchPlaces {
  readonly #perUser: number;
  readonly #taken = new Map<string, number>();

  /** @param perUser how many watches one user may have in this process at once. */
  constructor(perUser: number) {
    this.#perUser = perUser;
  }

  /**
   * Takes a place for a watch; what is returned gives it back.
   * @throws ApiError TooManyRequests, with the limit that was met.
   */
  take(username: string): () => void {
    const taken = this.#taken.get(username) ?? 0;
    if (taken >= this.#perUser) {
      const message = `too many watches at once: the limit of yours is ${this.#perUser}; end some, or share one, then try again`;
      throw new ApiError('TooManyRequests', message, { retryAfterSeconds: 1 });
    }
    this.#taken.set(username, taken + 1);
    return () => {
      const left = (this.#taken.get(username) ?? 0) - 1;
      if (left > 0) this.#taken.set(username, left);
      else this.#taken.delete(username);
    };
  }
}
