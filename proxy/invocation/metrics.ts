import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { RouteKind } from './invoke.ts';
import type { BytesMoved } from './traffic.ts';

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

/**
 * What is counted of the invocations with some labels. Plain numbers, which the metrics take over when they are read: to
 * find a series of prom-client by its labels costs as much as a good part of a call.
 */
interface Tally {
  labels: Readonly<{ route: RouteKind; kind: InvocationKind }>;
  inFlight: number;
  bytes: { received: number; sent: number };
  /** Numbers by HTTP status code. */
  ended: Map<Outcome, Map<number, number>>;
}

/** The metrics of the invocation path. Their labels are bounded: no session, Pod, user or path. */
export class InvocationMetrics {
  readonly #firstByte: Histogram<'route' | 'kind'>;
  readonly #tallies = new Map<string, Tally>();

  constructor(registry: Registry) {
    const registers = [registry];
    const tallies = this.#tallies;
    new Counter({
      name: 'sojourn_invocations_total',
      help: 'Invocations that ended, by route, kind (request, upgrade), HTTP status code and outcome.',
      labelNames: ['route', 'kind', 'code', 'outcome'],
      registers,
      collect() {
        this.reset();
        for (const { labels, ended } of tallies.values()) {
          for (const [outcome, codes] of ended) {
            for (const [code, count] of codes) this.inc({ ...labels, code, outcome }, count);
          }
        }
      },
    });
    this.#firstByte = new Histogram({
      name: 'sojourn_invocation_first_byte_seconds',
      help: 'Time from the arrival of an invocation to the first byte of its answer from the sandbox.',
      labelNames: ['route', 'kind'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
      registers,
    });
    new Gauge({
      name: 'sojourn_invocations_in_flight',
      help: 'Invocations being carried out now, streams and upgraded connections among them.',
      labelNames: ['route', 'kind'],
      registers,
      collect() {
        for (const { labels, inFlight } of tallies.values()) this.set(labels, inFlight);
      },
    });
    new Counter({
      name: 'sojourn_invocation_bytes_total',
      help: 'Bytes of bodies and upgraded connections, from clients (received) and to them (sent).',
      labelNames: ['route', 'kind', 'direction'],
      registers,
      collect() {
        this.reset();
        for (const { labels, bytes } of tallies.values()) {
          this.inc({ ...labels, direction: 'received' }, bytes.received);
          this.inc({ ...labels, direction: 'sent' }, bytes.sent);
        }
      },
    });
  }

  begun(labels: InvocationLabels): void {
    this.#tally(labels).inFlight += 1;
  }

  /** @param seconds since the invocation arrived. */
  firstByte({ route, kind }: InvocationLabels, seconds: number): void {
    this.#firstByte.observe({ route, kind }, seconds);
  }

  /** @param code HTTP status, 0 when none was sent. */
  ended(labels: InvocationLabels, code: number, outcome: Outcome, { received, sent }: BytesMoved): void {
    const tally = this.#tally(labels);
    tally.inFlight -= 1;
    tally.bytes.received += received;
    tally.bytes.sent += sent;
    let codes = tally.ended.get(outcome);
    if (codes === undefined) {
      codes = new Map();
      tally.ended.set(outcome, codes);
    }
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }

  #tally(labels: InvocationLabels): Tally {
    const key = `${labels.route} ${labels.kind}`;
    let tally = this.#tallies.get(key);
    if (tally === undefined) {
      const { route, kind } = labels;
      tally = { labels: { route, kind }, inFlight: 0, bytes: { received: 0, sent: 0 }, ended: new Map() };
      this.#tallies.set(key, tally);
    }
    return tally;
  }
}
