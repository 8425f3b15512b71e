/** Stops what a test started, last first, after it. */
export class Cleanup {
  readonly #stops: (() => Promise<void> | void)[] = [];

  constructor() {
    afterEach(async () => {
      for (const stop of this.#stops.splice(0).reverse()) await stop();
    });
  }

  /** Registers something to stop and hands it back. */
  add<T extends { stop(): Promise<void> | void }>(part: T): T {
    this.#stops.push(() => part.stop());
    return part;
  }

  /** Registers a client to close and hands it back. */
  close<T extends { close(): void }>(client: T): T {
    this.#stops.push(() => client.close());
    return client;
  }
}
