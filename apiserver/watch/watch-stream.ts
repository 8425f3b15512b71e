import type { Writable } from 'node:stream';
import { ApiError } from '../../apis/machinery/errors.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { Selection } from '../sessions/selection.ts';
import { type EventEncoder, encode, type WatchFormat } from './encoding.ts';
import { LineWriter } from './line-writer.ts';
import type { WatchOptions } from './options.ts';
import type { Scope } from './scope.ts';
import type { SessionCache } from './session-cache.ts';
import type { SessionEvent } from './session-event.ts';

/** Changes by which a client may be behind before it is cut; it goes on from its last resourceVersion. */
const longestLag = 1_000;
const bookmarkPeriodMs = 60_000;
/** kube-apiserver's last bookmark comes so long before the end (nextBookmarkTime in storage/cacher/cache_watcher.go). */
const lastBookmarkMs = 2_000;

export interface WatchStreamOptions {
  cache: SessionCache;
  encoder: EventEncoder;
  scope: Scope;
  selection: Selection;
  format: WatchFormat;
  watch: WatchOptions;
  /** Reads the state as fresh as kube-apiserver has it, at least as new as a resourceVersion if one is given. */
  readState: (notOlderThan: bigint | undefined) => Promise<{ sessions: Session[]; resourceVersion: bigint }>;
  /** Where the lines go; closing it ends the watch. */
  output: Writable;
  /** Changes by which a client may be behind before it is cut. */
  longestLag?: number;
}

/**
 * One client's watch: a position in the log of events. While the client keeps up, an event goes out on the tick on which it
 * happens; otherwise the client reads the log at its own pace, and is cut when it falls behind too far.
 */
export class WatchStream {
  readonly #options: WatchStreamOptions;
  readonly #writer: LineWriter;
  #sentColumns = false;
  /** Only events after this one are sent. */
  #position = 0n;
  /** Whether the client has been sent all there is, so that the next event can go out directly. */
  #current = false;
  /** Changes that came while the client was not current, after it once was. */
  #lag: number | undefined;
  #ended = false;
  readonly #endsAt: number;
  readonly #over = Promise.withResolvers<void>();
  #release: (() => void)[] = [];
  #bookmark: () => void = () => undefined;

  constructor(options: WatchStreamOptions) {
    this.#options = options;
    this.#writer = new LineWriter(options.output);
    this.#endsAt = performance.now() + options.watch.timeoutSeconds * 1000;
  }

  /** Serves the watch. Its headers must have been sent. Resolves when it is over. */
  async run(): Promise<void> {
    const { cache, output, scope } = this.#options;
    // A client that left before, while its access was reviewed, would never be heard to leave again.
    if (output.destroyed || output.closed) return;
    output.once('close', () => this.#stop());
    const timer = setTimeout(() => this.#end(), Math.max(0, this.#endsAt - performance.now()));
    this.#release = [
      () => clearTimeout(timer),
      cache.subscribe(scope, { event: (event) => this.#take(event), end: () => this.#end() }),
    ];
    try {
      await this.#begin();
      await this.#follow();
      this.#lag = 0;
      if (!this.#ended && this.#options.watch.bookmarks) this.#awaitBookmark();
    } catch (error) {
      this.#fail(error);
    }
    await this.#over.promise;
  }

  /** Sends what the client is to see before the first event, and finds where it begins. */
  async #begin(): Promise<void> {
    const { cache, watch, format, encoder, readState } = this.#options;
    const { resourceVersion } = watch;
    if (!watch.sendInitialEvents) {
      // Whoever does not care for the state and names no version begins now, by kube-apiserver's clock or by ours.
      const now = resourceVersion === 0n ? cache.resourceVersion : resourceVersion;
      this.#position = now ?? (await readState(undefined)).resourceVersion;
      return;
    }
    await this.#sendState(resourceVersion);
    if (this.#ended || !watch.bookmarks) return;
    const columns = this.#columns();
    this.#writer.write(encoder.bookmark(this.#position, format, { columns, initialEventsEnd: true }));
  }

  async #sendState(notOlderThan: bigint | undefined): Promise<void> {
    const { cache, scope, selection, readState } = this.#options;
    const isCached = notOlderThan !== undefined && notOlderThan <= cache.resourceVersion;
    // The cache's own are read on one tick with its version.
    const { sessions, resourceVersion } = isCached
      ? { sessions: cache.list(scope), resourceVersion: cache.resourceVersion }
      : await readState(notOlderThan);
    this.#position = resourceVersion;
    for (const session of sessions) {
      if (this.#ended) return;
      if (selection.matches(session)) await this.#writer.gather(this.#line('ADDED', session));
    }
    await this.#writer.flush();
  }

  /** Sends what the log has after the client's position, at the client's pace, until there is no more. */
  async #follow(): Promise<void> {
    const { cache, scope } = this.#options;
    let began = false;
    while (!this.#ended) {
      const events = cache.eventsSince(this.#position, scope);
      if (events === undefined) {
        // Only its beginning may be fetched from afar: a client that falls out of the log is too slow for it.
        if (began) return this.#cut();
        await cache.reachBack(this.#position);
        continue;
      }
      began = true;
      if (events.length === 0) {
        // On this very tick: the next event finds the client current.
        this.#current = true;
        return;
      }
      for (const event of events) {
        if (this.#ended) return;
        const line = this.#lineOf(event);
        if (line !== undefined) await this.#writer.gather(line);
      }
      await this.#writer.flush();
    }
  }

  /** An event on the tick on which it happens. */
  #take(event: SessionEvent): void {
    if (!this.#current) {
      if (this.#lag !== undefined) this.#lag += 1;
      if ((this.#lag ?? 0) > (this.#options.longestLag ?? longestLag)) this.#cut();
      return;
    }
    try {
      const line = this.#lineOf(event);
      if (line === undefined) return;
      this.#writer.write(line);
      if (this.#writer.lags) void this.#catchUp();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Lets a client that has not taken what it was sent do so, and goes on from there. */
  async #catchUp(): Promise<void> {
    this.#current = false;
    try {
      await this.#writer.flush();
      await this.#follow();
      this.#lag = 0;
    } catch (error) {
      this.#fail(error);
    }
  }

  /** A change as this client sees it: leaving its selection is DELETED, entering it is ADDED. */
  #lineOf(event: SessionEvent): Buffer | undefined {
    if (event.resourceVersion <= this.#position) return undefined;
    this.#position = event.resourceVersion;
    const { selection } = this.#options;
    const before = event.previous !== undefined && selection.matches(event.previous);
    const after = event.type !== 'DELETED' && selection.matches(event.current);
    if (after) return this.#line(before ? 'MODIFIED' : 'ADDED', event.current);
    return before ? this.#line('DELETED', event.departed) : undefined;
  }

  #line(type: 'ADDED' | 'MODIFIED' | 'DELETED', session: Session): Buffer {
    return this.#options.encoder.event(type, session, this.#options.format, this.#columns());
  }

  #columns(): 'include' | 'omit' {
    const columns = this.#sentColumns ? 'omit' : 'include';
    this.#sentColumns = true;
    return columns;
  }

  /** About once a minute, and once more shortly before the end. */
  #awaitBookmark(): void {
    const leftMs = this.#endsAt - performance.now() - lastBookmarkMs;
    if (leftMs < 0) return;
    this.#bookmark = this.#options.cache.secondHand.after(Math.min(bookmarkPeriodMs, leftMs), () => {
      this.#sendBookmark();
      this.#awaitBookmark();
    });
  }

  #sendBookmark(): void {
    const { cache, encoder, format } = this.#options;
    // Events go out on the tick on which they happen, so everything up to here has been sent. A client that named a
    // version from the future hears nothing before that.
    if (!this.#current || cache.resourceVersion < this.#position) return;
    this.#position = cache.resourceVersion;
    this.#writer.write(encoder.bookmark(this.#position, format, { columns: this.#columns(), initialEventsEnd: false }));
  }

  /** An error once the headers are sent is an event (k8s.io/apiserver, newErrWatcher). */
  #fail(error: unknown): void {
    if (this.#ended) return;
    const known = error instanceof ApiError ? error : new ApiError('InternalError', 'Internal error occurred');
    // Where kube-apiserver does not answer, the client need not list again: it comes back to where it was.
    if (known.reason !== 'ServiceUnavailable') this.#writer.write(encode('ERROR', known.toStatus()));
    if (known !== error) this.#over.reject(error);
    this.#end();
  }

  /** Ends a client that does not keep up. */
  #cut(): void {
    this.#stop();
    this.#options.output.destroy();
  }

  /** A clean end of the stream: the client resumes. */
  #end(): void {
    if (this.#ended) return;
    this.#stop();
    this.#writer.end();
  }

  #stop(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const release of this.#release.splice(0)) release();
    this.#bookmark();
    this.#over.resolve();
  }
}
