import { ApiError } from '../../apis/machinery/errors.ts';

export interface FairQueueOptions {
  /** What may be done at once. */
  mostAtOnce: number;
  /** Of one source what may wait. */
  mostWaitingOfSource: number;
  /** Of all sources together. */
  mostWaiting: number;
  /** One sentence for whoever brings more. */
  refusal: string;
}

/** Does a bounded number of things at once; sources whose things wait take turns, so that a flood of one delays itself. */
export class FairQueue {
  readonly #options: FairQueueOptions;
  /** In the order of their turns. */
  readonly #lanes = new Map<string, (() => void)[]>();
  #running = 0;
  #waiting = 0;

  constructor(options: FairQueueOptions) {
    this.#options = options;
  }

  /** @throws ApiError TooManyRequests when too much waits already; else what `act` throws. */
  async run<T>(source: string, act: () => Promise<T>): Promise<T> {
    if (this.#running < this.#options.mostAtOnce) this.#running += 1;
    else await this.#turn(source);
    try {
      return await act();
    } finally {
      this.#next();
    }
  }

  async #turn(source: string): Promise<void> {
    const { mostWaiting, mostWaitingOfSource, refusal } = this.#options;
    const lane = this.#lanes.get(source) ?? [];
    if (lane.length >= mostWaitingOfSource || this.#waiting >= mostWaiting) {
      throw new ApiError('TooManyRequests', refusal, { retryAfterSeconds: 1 });
    }
    this.#lanes.set(source, lane);
    this.#waiting += 1;
    await new Promise<void>((resolve) => lane.push(resolve));
  }

  /** Passes a place on to the source whose turn it is. */
  #next(): void {
    for (const [source, lane] of this.#lanes) {
      this.#lanes.delete(source);
      const begin = lane.shift();
      if (lane.length > 0) this.#lanes.set(source, lane);
      if (begin === undefined) continue;
      this.#waiting -= 1;
      begin();
      return;
    }
    this.#running -= 1;
  }
}
