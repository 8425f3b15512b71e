import { setTimeout as delay } from 'node:timers/promises';
import { ApiError, hasReason } from '../machinery/errors.ts';
import type { KubeList, KubeObject, Status, WatchEvent } from '../machinery/meta.ts';
import type { Log } from '../runtime/log.ts';
import { readLines } from './lines.ts';
import type { KubeClient } from './transport.ts';

const pageSize = 500;
const firstBackoffMs = 200;
/** A watch that lived for so long was healthy. */
const healthyMs = 30_000;
/** Few processes watch, and until they do again, what was created meanwhile is unknown to them. */
const longestBackoffMs = 5_000;
/** Bookmarks come about once a minute; a watch silent for much longer than that is a dead connection. */
const silenceLimitMs = 150_000;

/** Receives what a reflector sees, in order and on one tick each; it must not throw. */
export interface ReflectorSink<T extends KubeObject> {
  /** The whole state as of one resourceVersion. Events between the last one seen and this are lost for good. */
  replaced(items: T[], resourceVersion: string): void;
  changed(event: { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }): void;
  /** Everything up to this resourceVersion has been delivered. */
  bookmarked?(resourceVersion: string): void;
}

export interface ReflectorOptions<T extends KubeObject> {
  client: KubeClient;
  /** Path of the resource's collection. */
  path: string;
  labelSelector?: string;
  fieldSelector?: string;
  sink: ReflectorSink<T>;
  log: Log;
}

/**
 * Keeps a sink equal to a collection: a paged list, then watches from there for ever. Survives server errors, resets,
 * truncated lines and 410 (which lists again); after client-go's tools/cache/reflector.go.
 */
export class Reflector<T extends KubeObject> {
  readonly #options: ReflectorOptions<T>;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #synced = false;
  readonly #firstSync = Promise.withResolvers<void>();

  constructor(options: ReflectorOptions<T>) {
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
    const items: T[] = [];
    let next: string | undefined;
    for (;;) {
      const page: KubeList<T> = await this.#options.client.request<KubeList<T>>({
        path: this.#options.path,
        query: { ...this.#selectors(), limit: String(pageSize), continue: next },
        signal: this.#stop.signal,
      });
      items.push(...page.items);
      next = page.metadata.continue;
      if (next !== undefined && next !== '') continue;
      const resourceVersion = page.metadata.resourceVersion ?? '0';
      this.#options.sink.replaced(items, resourceVersion);
      this.#synced = true;
      this.#firstSync.resolve();
      return resourceVersion;
    }
  }

  /** One watch until its regular end. Returns the resourceVersion to go on from. */
  async #watch(from: string): Promise<string> {
    const timeoutSeconds = 300 + Math.floor(Math.random() * 300);
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(), silenceLimitMs);
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
      for await (const line of readLines(stream.body)) {
        timer.refresh();
        at = this.#deliver(JSON.parse(line.toString('utf8')) as WatchEvent<T>) ?? at;
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
    const resourceVersion = event.object.metadata.resourceVersion;
    if (event.type === 'BOOKMARK') {
      if (resourceVersion !== undefined) this.#options.sink.bookmarked?.(resourceVersion);
    } else {
      this.#options.sink.changed({ type: event.type, object: event.object });
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
