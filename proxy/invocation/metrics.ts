import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** A plain request, or one that left HTTP by an upgrade. */
export type InvocationKind = 'request' | 'upgrade';

/**
 * How an invocation ended: answered by the sandbox; refused by us, or for lack of a sandbox that could answer; broken off
 * by the sandbox; left by the client.
 */
export type Outcome = 'answered' | 'refused' | 'cut' | 'client-gone';

/** One invocation being measured. */
export interface Measurement {
  /** The first byte of the answer is there. */
  firstByte(): void;
  /** It is over. @param code HTTP status, 0 when none was sent. */
  end(code: number, outcome: Outcome): void;
}

/** The metrics of the invocation path. Their labels are bounded: no session, Pod, user or path. */
export class InvocationMetrics {
  readonly #total: Counter<'kind' | 'code' | 'outcome'>;
  readonly #firstByte: Histogram<'kind'>;
  readonly #inFlight: Gauge<'kind'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#total = new Counter({
      name: 'sojourn_invocations_total',
      help: 'Invocations that ended, by kind (request, upgrade), HTTP status code and outcome.',
      labelNames: ['kind', 'code', 'outcome'],
      registers,
    });
    this.#firstByte = new Histogram({
      name: 'sojourn_invocation_first_byte_seconds',
      help: 'Time from the arrival of an invocation to the first byte of its answer from the sandbox.',
      labelNames: ['kind'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
      registers,
    });
    this.#inFlight = new Gauge({
      name: 'sojourn_invocations_in_flight',
      help: 'Invocations being carried out now, streams and upgraded connections among them.',
      labelNames: ['kind'],
      registers,
    });
  }

  begin(kind: InvocationKind): Measurement {
    const begunAt = performance.now();
    this.#inFlight.inc({ kind });
    return {
      firstByte: () => this.#firstByte.observe({ kind }, (performance.now() - begunAt) / 1000),
      end: (code, outcome) => {
        this.#inFlight.dec({ kind });
        this.#total.inc({ kind, code, outcome });
      },
    };
  }
}
