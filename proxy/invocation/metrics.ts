import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { RouteKind } from './invoke.ts';
import type { Traffic } from './traffic.ts';

/** A plain request, or one that left HTTP by an upgrade. */
export type InvocationKind = 'request' | 'upgrade';

/**
 * How an invocation ended: answered by the sandbox; refused by us, or for lack of a sandbox that could answer; broken off
 * by the sandbox; left by the client; ended by us because it lasted too long.
 */
export type Outcome = 'answered' | 'refused' | 'cut' | 'client-gone' | 'expired';

/** What an invocation is counted under. */
export interface InvocationLabels {
  route: RouteKind;
  kind: InvocationKind;
}

/** The metrics of the invocation path. Their labels are bounded: no session, Pod, user or path. */
export class InvocationMetrics {
  readonly #total: Counter<'route' | 'kind' | 'code' | 'outcome'>;
  readonly #firstByte: Histogram<'route' | 'kind'>;
  readonly #inFlight: Gauge<'route' | 'kind'>;
  readonly #bytes: Counter<'route' | 'kind' | 'direction'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#total = new Counter({
      name: 'sojourn_invocations_total',
      help: 'Invocations that ended, by route, kind (request, upgrade), HTTP status code and outcome.',
      labelNames: ['route', 'kind', 'code', 'outcome'],
      registers,
    });
    this.#firstByte = new Histogram({
      name: 'sojourn_invocation_first_byte_seconds',
      help: 'Time from the arrival of an invocation to the first byte of its answer from the sandbox.',
      labelNames: ['route', 'kind'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
      registers,
    });
    this.#inFlight = new Gauge({
      name: 'sojourn_invocations_in_flight',
      help: 'Invocations being carried out now, streams and upgraded connections among them.',
      labelNames: ['route', 'kind'],
      registers,
    });
    this.#bytes = new Counter({
      name: 'sojourn_invocation_bytes_total',
      help: 'Bytes of bodies and upgraded connections, from clients (received) and to them (sent).',
      labelNames: ['route', 'kind', 'direction'],
      registers,
    });
  }

  begun({ route, kind }: InvocationLabels): void {
    this.#inFlight.inc({ route, kind });
  }

  /** @param seconds since the invocation arrived. */
  firstByte({ route, kind }: InvocationLabels, seconds: number): void {
    this.#firstByte.observe({ route, kind }, seconds);
  }

  /** @param code HTTP status, 0 when none was sent. */
  ended({ route, kind }: InvocationLabels, code: number, outcome: Outcome, { received, sent }: Traffic): void {
    this.#inFlight.dec({ route, kind });
    this.#total.inc({ route, kind, code, outcome });
    if (received > 0) this.#bytes.inc({ route, kind, direction: 'received' }, received);
    if (sent > 0) this.#bytes.inc({ route, kind, direction: 'sent' }, sent);
  }
}
