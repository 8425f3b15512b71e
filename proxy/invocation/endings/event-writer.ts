import { setTimeout as delay } from 'node:timers/promises';
import type { KubeClient } from '../../../apis/client/transport.ts';
import { hasReason } from '../../../apis/machinery/errors.ts';
import type { Log } from '../../../apis/runtime/log.ts';
import { Turns } from '../../../apis/runtime/turns.ts';
import type { CoreEvent } from './session-event.ts';

/**
 * Events that wait to be written; more of them are dropped, so that an outage costs no memory without end. A namespace has at
 * most as many as there is room left for all others.
 */
const mostWaiting = 20_000;
const mostWrites = 6;
/** So many writes may be of one namespace: a policy may make those of one take long. */
const mostWritesOfOne = 4;
const mostAttempts = 6;
const firstRetryMs = 1_000;
const longestRetryMs = 30_000;
const requestTimeoutMs = 5_000;
/** Failures that the next attempt may not meet; an Event that was written after all exists then. */
const passing = ['ServiceUnavailable', 'TooManyRequests', 'InternalError', 'ServerTimeout', 'Timeout'] as const;
/** How long the Events that are left may take when the process stops. */
const stopMs = 2_000;

interface Waiting {
  event: CoreEvent;
  attempts: number;
  timer: NodeJS.Timeout | undefined;
}

/** Creates Events, each one once: of several processes that write the same one, the first one wins. Never holds anything up. */
export class EventWriter {
  readonly #client: KubeClient;
  readonly #log: Log;
  readonly #waiting = new Map<string, Waiting>();
  /** How many wait, and are being written, by namespace. */
  readonly #waitingOf = new Map<string, number>();
  readonly #runningOf = new Map<string, number>();
  /** Keys of the Events that may be written now, by namespace. */
  readonly #due = new Turns<string>();
  readonly #running = new Set<Promise<void>>();
  readonly #requests = new AbortController();
  #stopped = false;

  constructor(client: KubeClient, log: Log) {
    this.#client = client;
    this.#log = log;
  }

  /** Writes an Event after a while; the later of two calls for one Event decides when and what. */
  write(event: CoreEvent, afterMs: number): void {
    const key = keyOf(event);
    const known = this.#waiting.get(key);
    if (this.#stopped) return;
    const others = this.#waitingOf.get(event.metadata.namespace ?? '') ?? 0;
    if (known === undefined && others >= mostWaiting - this.#waiting.size) {
      this.#log.warn('an Event was dropped, because too many wait', { event: key });
      return;
    }
    clearTimeout(known?.timer);
    this.#wait(key, { event, attempts: 0, timer: undefined }, afterMs);
  }

  /** Whether an Event is yet to be written here. */
  waits(event: CoreEvent): boolean {
    return this.#waiting.has(keyOf(event));
  }

  /** Writes what waits, as far as that is possible in a moment. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const [key, waiting] of this.#waiting) this.#release(key, waiting);
    const end = new AbortController();
    const timer = delay(stopMs, undefined, { signal: end.signal }).catch(() => undefined);
    await Promise.race([this.#idle(), timer]);
    end.abort();
    this.#requests.abort();
    this.#due.clear();
    for (const { timer: left } of this.#waiting.values()) clearTimeout(left);
    this.#waiting.clear();
    this.#waitingOf.clear();
    await Promise.all(this.#running);
  }

  async #idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #wait(key: string, waiting: Waiting, ms: number): void {
    if (!this.#waiting.has(key)) count(this.#waitingOf, namespaceOf(waiting), 1);
    this.#waiting.set(key, waiting);
    if (ms <= 0) {
      this.#release(key, waiting);
      return;
    }
    waiting.timer = setTimeout(() => this.#release(key, waiting), ms);
    waiting.timer.unref();
  }

  #release(key: string, waiting: Waiting): void {
    clearTimeout(waiting.timer);
    waiting.timer = undefined;
    this.#due.push(namespaceOf(waiting), key);
    this.#work();
  }

  #work(): void {
    while (this.#running.size < mostWrites) {
      const key = this.#due.take((namespace) => (this.#runningOf.get(namespace) ?? 0) < mostWritesOfOne);
      if (key === undefined) return;
      const waiting = this.#waiting.get(key);
      // Released twice, or written meanwhile.
      if (waiting === undefined || waiting.timer !== undefined) continue;
      this.#waiting.delete(key);
      const namespace = namespaceOf(waiting);
      count(this.#waitingOf, namespace, -1);
      count(this.#runningOf, namespace, 1);
      const writing = this.#create(key, waiting).finally(() => {
        this.#running.delete(writing);
        count(this.#runningOf, namespace, -1);
        this.#work();
      });
      this.#running.add(writing);
    }
  }

  /** Never rejects. */
  async #create(key: string, { event, attempts }: Waiting): Promise<void> {
    try {
      await this.#client.request({
        method: 'POST',
        path: `/api/v1/namespaces/${event.metadata.namespace}/events`,
        body: event,
        signal: this.#requests.signal,
        timeoutMs: requestTimeoutMs,
      });
    } catch (error) {
      if (hasReason(error, 'AlreadyExists') || this.#requests.signal.aborted) return;
      const isPassing = hasReason(error, ...passing);
      if (!isPassing || this.#stopped || attempts + 1 >= mostAttempts || this.#waiting.has(key)) {
        // A namespace that is going away takes no Events.
        this.#log.debug('an Event could not be written', { event: key, error });
        return;
      }
      const ms = Math.min(firstRetryMs * 2 ** attempts, longestRetryMs) * (0.5 + Math.random());
      this.#wait(key, { event, attempts: attempts + 1, timer: undefined }, ms);
    }
  }
}

function keyOf({ metadata }: CoreEvent): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function namespaceOf({ event }: Waiting): string {
  return event.metadata.namespace ?? '';
}

function count(counts: Map<string, number>, key: string, change: number): void {
  const now = (counts.get(key) ?? 0) + change;
  if (now === 0) counts.delete(key);
  else counts.set(key, now);
}
