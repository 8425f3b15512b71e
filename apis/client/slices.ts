import { setImmediate as turn } from 'node:timers/promises';

/** How long one piece of a long piece of work may keep everybody else waiting. */
const sliceMs = 5;

/** Cuts a long loop into slices: `if (slices.spent) await slices.rest()` once for each round. */
export class Slices {
  #endsAt = performance.now() + sliceMs;

  /** Whether others should have a turn now. */
  get spent(): boolean {
    return performance.now() >= this.#endsAt;
  }

  /** Gives everybody else a turn; a new slice begins then. */
  async rest(): Promise<void> {
    await turn();
    this.#endsAt = performance.now() + sliceMs;
  }
}
