import { setTimeout as delay } from 'node:timers/promises';
import { readLines } from '../../apis/client/lines.ts';
import { listPages } from '../../apis/client/pages.ts';
import { Slices } from '../../apis/client/slices.ts';
import type { KubeClient } from '../../apis/client/transport.ts';
import { ApiError, hasReason } from '../../apis/machinery/errors.ts';
import { keyOf, type Status, type WatchEvent } from '../../apis/machinery/meta.ts';
import { sessionSelector } from '../../apis/names.ts';
import type { Log } from '../../apis/runtime/log.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { EventLog } from './event-log.ts';
import { SessionEvent } from './session-event.ts';

/** Clients come back together: those who come within so long share a bridge. */
const gatherMs = 100;
/** Between two bridges; each costs a list. */
const restMs = 250;
/** kube-apiserver sends a bookmark 2 s before a watch's timeout: it tells soon how far a quiet watch has come. */
const roundSeconds = 3;
/** A watch that has not come so far by then never will. */
const longestBuildMs = 30_000;
const attempts = 3;

export interface HistoryBridgeOptions {
  client: KubeClient;
  /** Path of all Sandboxes. */
  path: string;
  events: EventLog;
  project: (sandbox: Sandbox) => Session;
  log: Log;
  /** More clients than this do not wait for a bridge. */
  mostWaiting?: number;
  /** Events that one bridge may fetch. */
  mostEvents?: number;
}

interface Waiting {
  from: bigint;
  resolve: () => void;
  reject: (error: ApiError) => void;
}

/** Sessions as they were, by `namespace/name`. */
type State = Map<string, Session>;

/**
 * Lengthens the log of events backwards for clients that come from before it began, after a restart above all: the state
 * of all sessions as it was then, and all that kube-apiserver remembers since. So what was before a change is known exactly,
 * every selector works, and a client goes on in the one log without a seam. One bridge at a time serves all who wait.
 */
export class HistoryBridge {
  readonly #options: HistoryBridgeOptions;
  readonly #stop = new AbortController();
  readonly #waiting = new Set<Waiting>();
  /** kube-apiserver has forgotten what was after this resourceVersion. */
  #forgotten = -1n;
  #running: Promise<void> | undefined;

  constructor(options: HistoryBridgeOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the log reaches back to a resourceVersion.
   * @throws ApiError Expired, ServiceUnavailable.
   */
  async reach(from: bigint): Promise<void> {
    const { events, mostWaiting = 10_000 } = this.#options;
    if (from >= events.start) return;
    if (from <= this.#forgotten || this.#waiting.size >= mostWaiting) throw this.#tooOld(from);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.add({ from, resolve, reject });
    this.#running ??= this.#run();
    await promise;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    await this.#pause(gatherMs);
    let failures = 0;
    while (this.#waiting.size > 0 && !this.#stop.signal.aborted) {
      const from = this.#oldest();
      try {
        await this.#build(from);
        failures = 0;
      } catch (error) {
        failures += 1;
        this.#failed(from, error, failures);
      }
      this.#settle();
      await this.#pause(restMs * 2 ** Math.min(failures, 4));
    }
    for (const { reject } of this.#waiting) reject(unreachable());
    this.#waiting.clear();
    this.#running = undefined;
  }

  #oldest(): bigint {
    let oldest = this.#options.events.start;
    for (const { from } of this.#waiting) if (from < oldest) oldest = from;
    return oldest;
  }

  #failed(from: bigint, error: unknown, failures: number): void {
    const { log } = this.#options;
    if (hasReason(error, 'Expired', 'Gone')) {
      this.#forgotten = from;
      return;
    }
    log.warn('older events could not be fetched', { from: String(from), failures, error });
    if (failures < attempts) return;
    for (const { reject } of this.#waiting) reject(unreachable(error));
    this.#waiting.clear();
  }

  #settle(): void {
    for (const one of this.#waiting) {
      if (one.from >= this.#options.events.start) one.resolve();
      else if (one.from <= this.#forgotten) one.reject(this.#tooOld(one.from));
      else continue;
      this.#waiting.delete(one);
    }
  }

  /** Fetches all events between a resourceVersion and the beginning of the log. */
  async #build(from: bigint): Promise<void> {
    const { events: known, mostEvents = 10_000, log } = this.#options;
    if (from >= known.start) return;
    const begun = performance.now();
    const events: SessionEvent[] = [];
    const end = new AbortController();
    const signal = AbortSignal.any([end.signal, this.#stop.signal, AbortSignal.timeout(longestBuildMs)]);
    let state: State | undefined;
    try {
      for (let at = from; at < known.start; ) {
        const stateThen = state ?? this.#stateAt(from, signal);
        const [watch, before] = await Promise.all([this.#watch(at, signal), stateThen]);
        state = before;
        // On a quiet cluster kube-apiserver's own cache moves only when somebody asks it to be current.
        if (at !== from)
          await this.#options.client.request({ path: this.#options.path, query: { limit: '1' }, signal });
        at = await this.#follow(watch, { at, state, events });
        if (events.length > mostEvents) throw this.#tooOld(from);
      }
    } finally {
      end.abort();
    }
    known.prepend(from, events);
    log.info('fetched older events', {
      from: String(from),
      events: events.length,
      sessions: state?.size,
      waiting: this.#waiting.size,
      milliseconds: Math.round(performance.now() - begun),
    });
  }

  async #watch(from: bigint, signal: AbortSignal): Promise<AsyncIterable<WatchEvent<Sandbox>>> {
    const { client, path } = this.#options;
    const { body } = await client.stream({
      path,
      query: {
        watch: 'true',
        allowWatchBookmarks: 'true',
        labelSelector: sessionSelector,
        resourceVersion: String(from),
        timeoutSeconds: String(roundSeconds),
      },
      signal,
    });
    const lines = readLines(body);
    const first = await lines.next();
    const refused = first.done === true ? undefined : parse(first.value);
    if (refused?.type === 'ERROR') {
      const status = refused.object as unknown as Status;
      throw ApiError.fromStatus(status, status.code ?? 500);
    }
    return (async function* () {
      if (refused !== undefined) yield refused;
      for await (const line of lines) yield parse(line);
    })();
  }

  async #stateAt(resourceVersion: bigint, signal: AbortSignal): Promise<State> {
    const { client, path, project } = this.#options;
    const state: State = new Map();
    const slices = new Slices();
    const query = {
      labelSelector: sessionSelector,
      resourceVersion: String(resourceVersion),
      resourceVersionMatch: 'Exact',
    };
    for await (const { items } of listPages<Sandbox>(client, { path, query, signal })) {
      for (const item of items) {
        state.set(keyOf(item), project(item));
        if (slices.spent) await slices.rest();
      }
    }
    return state;
  }

  /** Takes events until the beginning of the log or the end of the watch. Returns how far it has come. */
  async #follow(
    watch: AsyncIterable<WatchEvent<Sandbox>>,
    { at, state, events }: { at: bigint; state: State; events: SessionEvent[] },
  ): Promise<bigint> {
    const { events: known, project } = this.#options;
    const slices = new Slices();
    let reached = at;
    for await (const { type, object } of watch) {
      if (type === 'ERROR') {
        const status = object as unknown as Status;
        throw ApiError.fromStatus(status, status.code ?? 500);
      }
      const version = BigInt(object.metadata.resourceVersion ?? '0');
      // Of what is between the two, nothing has been taken.
      reached = version < known.start ? version : known.start;
      if (type !== 'BOOKMARK' && version <= known.start) {
        const key = keyOf(object);
        const current = project(object);
        events.push(new SessionEvent(type, { previous: state.get(key), current }));
        if (type === 'DELETED') state.delete(key);
        else state.set(key, current);
      }
      if (reached >= known.start) break;
      if (slices.spent) await slices.rest();
    }
    return reached;
  }

  #tooOld(from: bigint): ApiError {
    return new ApiError('Expired', `too old resource version: ${from} (${this.#options.events.start})`);
  }

  async #pause(ms: number): Promise<void> {
    try {
      await delay(ms, undefined, { signal: this.#stop.signal });
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error;
    }
  }
}

function parse(line: Buffer): WatchEvent<Sandbox> {
  return JSON.parse(line.toString('utf8')) as WatchEvent<Sandbox>;
}

function unreachable(cause?: unknown): ApiError {
  return new ApiError('ServiceUnavailable', 'older events could not be fetched from kube-apiserver; try again', {
    ...(cause === undefined ? {} : { cause }),
    retryAfterSeconds: 1,
  });
}
