import type { Writable } from 'node:stream';
import { ApiError } from '../../apis/machinery/errors.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { Selection } from '../sessions/selection.ts';
import { type EventEncoder, encode, type WatchFormat } from './encoding.ts';
import type { WatchOptions } from './options.ts';
import type { Scope, SessionCache, SessionEvent } from './session-cache.ts';

/** Bytes of live events that may wait for a slow client before it is cut; it goes on from its last resourceVersion. */
const backlogLimitBytes = 1024 * 1024;
/** Events that may wait while a client takes its initial state. */
const longestQueue = 10_000;
const bookmarkPeriodMs = 60_000;

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
}

/** One client's watch: initial state, then live events that fit its selection, until its time is over or either side ends it. */
export class WatchStream {
  readonly #options: WatchStreamOptions;
  #sentColumns = false;
  /** Events that arrive while the initial state is being read; undefined once they go out directly. */
  #waiting: SessionEvent[] | undefined = [];
  /** Only events after this one are sent. */
  #position = 0n;
  #timers: NodeJS.Timeout[] = [];
  #ended = false;
  #unsubscribe: () => void = () => undefined;

  constructor(options: WatchStreamOptions) {
    this.#options = options;
  }

  /**
   * Starts the watch. Its headers must have been sent. Resolves once live events go out directly, or the watch is over.
   * The subscription comes before the state is read, so that no event between the two is lost.
   */
  async run(): Promise<void> {
    const { cache, output, scope, watch } = this.#options;
    // A client that left before, while its access was reviewed, would never be heard to leave again.
    if (output.destroyed || output.closed) return;
    output.once('close', () => this.#stop());
    this.#unsubscribe = cache.subscribe(scope, {
      event: (event) => this.#take(event),
      // Events are delivered on the tick they happen, so everything up to here has been sent.
      bookmark: (resourceVersion) => this.#reached(resourceVersion),
      gap: () => this.#end(),
    });
    try {
      if (!(await this.#sendStart())) return this.#end();
      await this.#catchUp();
    } catch (error) {
      const status = (
        error instanceof ApiError ? error : new ApiError('InternalError', 'Internal error occurred')
      ).toStatus();
      this.#write(encode('ERROR', status));
      this.#end();
      if (!(error instanceof ApiError)) throw error;
      return;
    }
    if (this.#ended) return;
    this.#timers.push(setTimeout(() => this.#end(), watch.timeoutSeconds * 1000));
    if (watch.bookmarks) this.#timers.push(setInterval(() => this.#sendBookmark(), bookmarkPeriodMs));
  }

  #take(event: SessionEvent): void {
    if (this.#waiting === undefined) this.#send(event);
    else if (this.#waiting.length < longestQueue) this.#waiting.push(event);
    else this.#cut();
  }

  /** Sends what came meanwhile at the client's pace; from then on events go out on the tick they happen. */
  async #catchUp(): Promise<void> {
    while (this.#waiting !== undefined && !this.#ended) {
      const waiting = this.#waiting;
      this.#waiting = waiting.length === 0 ? undefined : [];
      for (const event of waiting) {
        this.#send(event);
        await this.#drained();
      }
    }
  }

  /** Sends what the client must see before live events. False when the watch cannot start where it asks to. */
  async #sendStart(): Promise<boolean> {
    const { watch } = this.#options;
    if (watch.sendInitialEvents) {
      await this.#sendState(watch.resourceVersion);
      if (watch.bookmarks) this.#write(this.#bookmark({ initialEventsEnd: true }));
      return true;
    }
    if (watch.resourceVersion === undefined || watch.resourceVersion === 0n) {
      await this.#sendCachedState();
      return true;
    }
    return await this.#replay(watch.resourceVersion);
  }

  async #sendState(notOlderThan: bigint | undefined): Promise<void> {
    const { cache, readState } = this.#options;
    if (notOlderThan !== undefined && notOlderThan <= cache.resourceVersion) return await this.#sendCachedState();
    const { sessions, resourceVersion } = await readState(notOlderThan);
    this.#position = resourceVersion;
    await this.#sendSessions(sessions);
  }

  async #sendCachedState(): Promise<void> {
    const { cache, scope } = this.#options;
    this.#position = cache.resourceVersion;
    await this.#sendSessions(cache.list(scope));
  }

  async #sendSessions(sessions: readonly Session[]): Promise<void> {
    for (const session of sessions) {
      if (this.#ended) return;
      if (!this.#options.selection.matches(session)) continue;
      this.#sendLine('ADDED', session);
      await this.#drained();
    }
  }

  async #replay(from: bigint): Promise<boolean> {
    const { cache, scope } = this.#options;
    const events = cache.eventsSince(from, scope);
    if (events === undefined) {
      const message = `too old resource version: ${from} (${cache.resourceVersion})`;
      this.#write(encode('ERROR', new ApiError('Expired', message).toStatus()));
      return false;
    }
    // The ring's events reach to this tick, the queue's begin with it.
    this.#position = from;
    for (const event of events) {
      this.#send(event);
      await this.#drained();
    }
    return true;
  }

  /** Waits until the client has taken what was written, if it lags behind. */
  async #drained(): Promise<void> {
    const { output } = this.#options;
    if (this.#ended || !output.writableNeedDrain) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        output.off('drain', done);
        output.off('close', done);
        resolve();
      };
      output.on('drain', done);
      output.on('close', done);
    });
  }

  /** A change as this client sees it: leaving its selection is DELETED, entering it is ADDED. */
  #send(event: SessionEvent): void {
    if (event.resourceVersion <= this.#position) return;
    this.#position = event.resourceVersion;
    const { selection } = this.#options;
    const before = event.previous !== undefined && selection.matches(event.previous);
    const after = event.type !== 'DELETED' && selection.matches(event.current);
    if (after) this.#sendLine(before ? 'MODIFIED' : 'ADDED', event.current);
    else if (before) this.#sendLine('DELETED', event.type === 'DELETED' ? event.current : lastSeen(event));
  }

  #sendLine(type: 'ADDED' | 'MODIFIED' | 'DELETED', session: Session): void {
    this.#write(this.#options.encoder.event(type, session, this.#options.format, this.#columns()));
  }

  #columns(): 'include' | 'omit' {
    const columns = this.#sentColumns ? 'omit' : 'include';
    this.#sentColumns = true;
    return columns;
  }

  #reached(resourceVersion: bigint): void {
    if (this.#waiting === undefined && resourceVersion > this.#position) this.#position = resourceVersion;
  }

  #sendBookmark(): void {
    this.#reached(this.#options.cache.resourceVersion);
    this.#write(this.#bookmark({ initialEventsEnd: false }));
  }

  #bookmark({ initialEventsEnd }: { initialEventsEnd: boolean }): Buffer {
    return this.#options.encoder.bookmark(this.#position, this.#options.format, {
      columns: this.#columns(),
      initialEventsEnd,
    });
  }

  #write(line: Buffer): void {
    const { output } = this.#options;
    if (this.#ended) return;
    output.write(line);
    // While the state goes out, its own pace is the client's; what piles up then is bounded by the queue.
    if (this.#waiting === undefined && output.writableLength > backlogLimitBytes) this.#cut();
  }

  /** Ends a client that does not keep up. */
  #cut(): void {
    this.#options.output.destroy();
    this.#stop();
  }

  /** A clean end of the stream: the client resumes. */
  #end(): void {
    if (this.#ended) return;
    this.#stop();
    this.#options.output.end();
  }

  #stop(): void {
    this.#ended = true;
    this.#unsubscribe();
    for (const timer of this.#timers.splice(0)) clearTimeout(timer);
  }
}

/** The state before the change under the change's resourceVersion, as kube-apiserver's watch cache sends it. */
function lastSeen({ previous, current, resourceVersion }: SessionEvent): Session {
  const last = previous ?? current;
  return { ...last, metadata: { ...last.metadata, resourceVersion: String(resourceVersion) } };
}
