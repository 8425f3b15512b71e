import { ApiError } from '../../apis/machinery/errors.ts';
import { Turns } from '../../apis/runtime/turns.ts';

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
  readonly #turns = new Turns<() => void>();
  #running = 0;

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
    if (this.#turns.sizeOf(source) >= mostWaitingOfSource || this.#turns.size >= mostWaiting) {
      throw new ApiError('TooManyRequests', refusal, { retryAfterSeconds: 1 });
    }
    await new Promise<void>((resolve) => this.#turns.push(source, resolve));
  }

  /** Passes a place on to the source whose turn it is. */
  #next(): void {
    const begin = this.#turns.take();
    if (begin === undefined) this.#running -= 1;
    else begin();
  }
}
