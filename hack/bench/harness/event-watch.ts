import type { Readable } from 'node:stream';
import { readLines } from '../../../apis/client/lines.ts';
import type { KubeClient } from '../../../apis/client/transport.ts';
import type { KubeObject, WatchEvent } from '../../../apis/machinery/meta.ts';

const deadlineMs = 30_000;

/** An event and when its line had arrived (performance.now()). */
export interface SeenEvent<T extends KubeObject> extends WatchEvent<T> {
  at: number;
}

interface Waiter<T extends KubeObject> {
  matches: (event: SeenEvent<T>) => boolean;
  resolve: (event: SeenEvent<T>) => void;
  reject: (error: Error) => void;
}

/** A watch of a collection that remembers when each event came. */
export class EventWatch<T extends KubeObject> {
  readonly #stop: AbortController;
  readonly #reading: Promise<void>;
  readonly #waiters = new Set<Waiter<T>>();
  #seen: SeenEvent<T>[] = [];
  #failure: Error | undefined;
  #resourceVersion = '0';
  #lastAt = 0;

  private constructor(first: Readable, reopen: (resourceVersion: string) => Promise<Readable>, stop: AbortController) {
    this.#stop = stop;
    this.#reading = this.#read(first, reopen);
  }

  /** Opens a watch from the current state on; resolves when it has begun. */
  static async open<T extends KubeObject>(client: KubeClient, path: string): Promise<EventWatch<T>> {
    const stop = new AbortController();
    const openFrom = async (resourceVersion?: string): Promise<Readable> => {
      const query = { watch: 'true', resourceVersion };
      return (await client.stream({ path, query, signal: stop.signal })).body;
    };
    return new EventWatch<T>(await openFrom(), openFrom, stop);
  }

  /**
   * The first event of a kind since {@link forget}, whether it has come already or not.
   * @param what names it in the error that says that it did not come within 30 s.
   */
  async first(what: string, matches: (event: SeenEvent<T>) => boolean): Promise<SeenEvent<T>> {
    const known = this.#seen.find(matches);
    if (known !== undefined) return known;
    if (this.#failure !== undefined) throw this.#failure;
    const { promise, resolve, reject } = Promise.withResolvers<SeenEvent<T>>();
    const waiter = { matches, resolve, reject };
    const timer = setTimeout(() => reject(new Error(`a watch did not show ${what} within 30 s`)), deadlineMs);
    this.#waiters.add(waiter);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiters.delete(waiter);
    }
  }

  /** When the last event had arrived (performance.now()); 0 before the first. */
  get lastAt(): number {
    return this.#lastAt;
  }

  /** Drops what was seen, so that looking through it stays quick. */
  forget(): void {
    this.#seen = [];
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#reading;
  }

  /** Servers end watches of clients that are slow for a moment, which on a busy machine are all; it goes on where it was. */
  async #read(first: Readable, reopen: (resourceVersion: string) => Promise<Readable>): Promise<void> {
    try {
      for (let body = first; ; body = await reopen(this.#resourceVersion)) {
        for await (const line of readLines(body)) {
          const at = performance.now();
          this.#take({ ...(JSON.parse(line.toString('utf8')) as WatchEvent<T>), at });
        }
      }
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #take(event: SeenEvent<T>): void {
    if (event.type === 'ERROR') throw new Error(`a watch ended with ${JSON.stringify(event.object)}`);
    this.#resourceVersion = event.object.metadata.resourceVersion ?? this.#resourceVersion;
    this.#lastAt = event.at;
    this.#seen.push(event);
    for (const waiter of this.#waiters) if (waiter.matches(event)) waiter.resolve(event);
  }

  /** The end of a watch that was closed is nobody's concern: nobody waits for it any more. */
  #fail(error: Error): void {
    this.#failure = error;
    for (const { reject } of this.#waiters) reject(error);
  }
}
