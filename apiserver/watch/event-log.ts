import { inScope, type Scope } from './scope.ts';
import type { SessionEvent } from './session-event.ts';

export interface EventLogLimits {
  /** Events younger than this are kept: as long as kube-apiserver keeps them (DefaultEventFreshDuration) and a bit. */
  freshMs: number;
  /** So many are kept however old they are. */
  least: number;
  /** More than so many are never kept. */
  most: number;
}

const defaultLimits: EventLogLimits = { freshMs: 90_000, least: 1_000, most: 10_000 };

interface Entry {
  event: SessionEvent;
  /** Milliseconds of the monotonic clock. */
  at: number;
}

/** The last events in the order of their resourceVersions, for clients that come back and clients that are slow. */
export class EventLog {
  readonly #limits: EventLogLimits;
  #entries: Entry[] = [];
  /** Where the entries begin: those before it are cut off now and then, all at once. */
  #first = 0;
  #start = 0n;

  constructor(limits: EventLogLimits = defaultLimits) {
    this.#limits = limits;
  }

  /** Every event after this resourceVersion is here. */
  get start(): bigint {
    return this.#start;
  }

  get size(): number {
    return this.#entries.length - this.#first;
  }

  append(event: SessionEvent): void {
    this.#entries.push({ event, at: performance.now() });
    this.trim();
  }

  /** Begins anew: events between what was here and this resourceVersion are not known. */
  reset(resourceVersion: bigint): void {
    this.#entries = [];
    this.#first = 0;
    this.#start = resourceVersion;
  }

  /**
   * Adds older events: all there are after `start`, and up to where the log begins. They count as fresh, because those
   * for whom they were fetched are not alone.
   */
  prepend(start: bigint, events: readonly SessionEvent[]): void {
    const at = performance.now();
    const older = events
      .filter(({ resourceVersion }) => resourceVersion <= this.#start)
      .map((event) => ({ event, at }));
    this.#entries = [...older, ...this.#entries.slice(this.#first)];
    this.#first = 0;
    this.#start = start;
  }

  /** Events of a scope after a resourceVersion; undefined when the log does not reach back that far. */
  since(resourceVersion: bigint, scope: Scope): SessionEvent[] | undefined {
    if (resourceVersion < this.#start) return undefined;
    const found: SessionEvent[] = [];
    for (let i = this.#after(resourceVersion); i < this.#entries.length; i += 1) {
      const event = this.#entries[i]?.event;
      if (event !== undefined && inScope(event.current, scope)) found.push(event);
    }
    return found;
  }

  /** Forgets what is too old or too much. */
  trim(): void {
    const { freshMs, least, most } = this.#limits;
    const oldest = performance.now() - freshMs;
    for (;;) {
      const entry = this.#entries[this.#first];
      if (entry === undefined || (this.size <= most && (this.size <= least || entry.at >= oldest))) break;
      this.#start = entry.event.resourceVersion;
      this.#first += 1;
    }
    if (this.#first < least || this.#first < this.size) return;
    this.#entries = this.#entries.slice(this.#first);
    this.#first = 0;
  }

  /** Index of the first entry after a resourceVersion. */
  #after(resourceVersion: bigint): number {
    let low = this.#first;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle] as Entry).event.resourceVersion > resourceVersion) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
