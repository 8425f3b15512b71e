import { setTimeout as delay } from 'node:timers/promises';
import { ApiError, hasReason } from '../machinery/errors.ts';
import { type KubeObject, keyOf, type Status, type WatchEvent } from '../machinery/meta.ts';
import type { Log } from '../runtime/log.ts';
import { readLines } from './lines.ts';
import { listPages } from './pages.ts';
import { Slices } from './slices.ts';
import type { KubeClient } from './transport.ts';

const firstBackoffMs = 200;
/** A watch that lived for so long was healthy. */
const healthyMs = 30_000;
/** Few processes watch, and until they do again, what was created meanwhile is unknown to them. */
const longestBackoffMs = 5_000;
/** Bookmarks come about once a minute; a watch silent for much longer than that is a dead connection. */
const silenceLimitMs = 100_000;

/** Receives what a reflector sees, in order. What it throws is logged, and that event is lost to it. */
export interface ReflectorSink<T extends KubeObject, K> {
  /**
   * The whole state as of one resourceVersion. Events between the last one seen and this are lost for good. It may take
   * its time; changes come when it is done.
   */
  replaced(items: K[], resourceVersion: string): void | Promise<void>;
  changed(event: { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }): void;
  /** Everything up to this resourceVersion has been delivered. */
  bookmarked?(resourceVersion: string): void;
}

export interface ReflectorOptions<T extends KubeObject, K> {
  client: KubeClient;
  /** Path of the resource's collection. */
  path: string;
  labelSelector?: string;
  fieldSelector?: string;
  /** What a list keeps of an object, asked page by page: the whole list is never in memory as it came. */
  keep: (object: T) => K;
  sink: ReflectorSink<T, K>;
  log: Log;
  /** After so many milliseconds without a byte a watch is given up as dead; more than kube-apiserver's minute of bookmarks. */
  silenceLimitMs?: number;
}

/**
 * Keeps a sink equal to a collection: a paged list, then watches from there for ever. Survives server errors, resets,
 * truncated lines and 410 (which lists again); after client-go's tools/cache/reflector.go.
 */
export class Reflector<T extends KubeObject, K> {
  readonly #options: ReflectorOptions<T, K>;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #synced = false;
  readonly #firstSync = Promise.withResolvers<void>();

  constructor(options: ReflectorOptions<T, K>) {
    this.#options = options;
  }

  /** Whether the first list has been delivered. */
  get synced(): boolean {
    return this.#synced;
  }

  /** Resolves with the first list delivered; never rejects. */
  get firstSync(): Promise<void> {
    return this.#firstSync.promise;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    let backoffMs = firstBackoffMs;
    let resourceVersion: string | undefined;
    while (!this.#stop.signal.aborted) {
      const startedAt = Date.now();
      try {
        resourceVersion ??= await this.#list();
        resourceVersion = await this.#watch(resourceVersion);
        // A server that ends watches as soon as they begin must not be asked in a hot loop.
        if (Date.now() - startedAt < firstBackoffMs) await this.#pause(firstBackoffMs);
        backoffMs = firstBackoffMs;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        if (error instanceof WatchBroken) resourceVersion = error.resourceVersion;
        if (hasReason(error, 'Expired', 'Gone')) resourceVersion = undefined;
        // A watch that lived for a while was healthy: its end is no reason to wait longer than after the first failure.
        if (Date.now() - startedAt > healthyMs) backoffMs = firstBackoffMs;
        this.#options.log.warn('watching failed, trying again', { path: this.#options.path, backoffMs, error });
        await this.#pause(backoffMs);
        backoffMs = Math.min(backoffMs * 2, longestBackoffMs);
      }
    }
  }

  /** Waits about so long, less if asked to stop. */
  async #pause(ms: number): Promise<void> {
    try {
      await delay(ms * (0.5 + Math.random()), undefined, { signal: this.#stop.signal });
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error;
    }
  }

  async #list(): Promise<string> {
    const { client, path, keep, sink, log } = this.#options;
    const kept: K[] = [];
    const slices = new Slices();
    let resourceVersion = '0';
    for await (const page of listPages<T>(client, { path, query: this.#selectors(), signal: this.#stop.signal })) {
      resourceVersion = page.resourceVersion;
      for (const item of page.items) {
        try {
          kept.push(keep(item));
        } catch (error) {
          log.error('an object of a list could not be read, it is left out', { path, object: keyOf(item), error });
        }
        if (slices.spent) await slices.rest();
      }
    }
    await this.#hand(() => sink.replaced(kept, resourceVersion));
    this.#synced = true;
    this.#firstSync.resolve();
    return resourceVersion;
  }

  /** A sink that fails must not make us ask for the same again for ever. */
  async #hand(give: () => void | Promise<void>): Promise<void> {
    try {
      await give();
    } catch (error) {
      this.#options.log.error('what a watch brought could not be taken, going on', { path: this.#options.path, error });
    }
  }

  /** One watch until its regular end. Returns the resourceVersion to go on from. */
  async #watch(from: string): Promise<string> {
    const timeoutSeconds = 300 + Math.floor(Math.random() * 300);
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(), this.#options.silenceLimitMs ?? silenceLimitMs);
    let at = from;
    try {
      const stream = await this.#options.client.stream({
        path: this.#options.path,
        query: {
          ...this.#selectors(),
          watch: 'true',
          allowWatchBookmarks: 'true',
          resourceVersion: from,
          timeoutSeconds: String(timeoutSeconds),
        },
        signal: AbortSignal.any([this.#stop.signal, silence.signal]),
      });
      const slices = new Slices();
      for await (const line of readLines(stream.body)) {
        timer.refresh();
        at = this.#deliver(JSON.parse(line.toString('utf8')) as WatchEvent<T>) ?? at;
        if (slices.spent) await slices.rest();
      }
      return at;
    } catch (error) {
      throw hasReason(error, 'Expired', 'Gone') ? error : new WatchBroken(at, error);
    } finally {
      clearTimeout(timer);
    }
  }

  #deliver(event: WatchEvent<T>): string | undefined {
    if (event.type === 'ERROR') {
      const status = event.object as unknown as Status;
      throw ApiError.fromStatus(status, status.code ?? 500);
    }
    const { sink, path, log } = this.#options;
    const resourceVersion = event.object.metadata.resourceVersion;
    try {
      if (event.type !== 'BOOKMARK') sink.changed({ type: event.type, object: event.object });
      else if (resourceVersion !== undefined) sink.bookmarked?.(resourceVersion);
    } catch (error) {
      log.error('an event of a watch could not be taken, going on', { path, object: keyOf(event.object), error });
    }
    return resourceVersion;
  }

  #selectors(): Record<string, string | undefined> {
    return { labelSelector: this.#options.labelSelector, fieldSelector: this.#options.fieldSelector };
  }
}

/** A watch that ended other than by its own timeout; it can go on from where it was. */
class WatchBroken extends Error {
  readonly resourceVersion: string;
  constructor(resourceVersion: string, cause: unknown) {
    super('the watch broke off', { cause });
    this.resourceVersion = resourceVersion;
  }
}
