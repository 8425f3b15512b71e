import { type ApiError, asApiError } from '../../apis/machinery/errors.ts';
import type { ClientRequest } from '../../apis/runtime/listener.ts';
import { anonymous } from '../access/user.ts';
import type { AuditLog } from './audit.ts';
import type { Invocation } from './invoke.ts';
import type { InFlight } from './limits.ts';
import type { InvocationKind, InvocationMetrics, Outcome } from './metrics.ts';
import { Traffic } from './traffic.ts';
import type { Patience, Watch, Watchdog, WatchedCall } from './watchdog.ts';

export interface LedgerOptions {
  inFlight: InFlight;
  watchdog: Watchdog;
  patience: Readonly<Record<InvocationKind, Patience>>;
  metrics: InvocationMetrics;
  audit: AuditLog;
  /** Told of all bytes of bodies that pass. */
  onBytes: (bytes: number) => void;
}

/** A call that arrived. */
export interface Arrival {
  kind: InvocationKind;
  call: Omit<Invocation, 'target'>;
  request: ClientRequest;
}

/** A call that was turned away. */
export interface Refusal extends Omit<Invocation, 'target' | 'user'> {
  kind: InvocationKind;
  /** Undefined when nobody knows. */
  user: Invocation['user'] | undefined;
  request: ClientRequest;
  error: unknown;
}

/** Keeps account of every call from its arrival to its end: a place among the limits, time limits, metrics, audit. */
export class Ledger {
  readonly #options: LedgerOptions;

  constructor(options: LedgerOptions) {
    this.#options = options;
  }

  /** Takes note of a call that was turned away before it came to {@link open}: nobody knows its caller, or they may not. */
  refuse({ error, kind, request, ...call }: Refusal): void {
    const user = call.user ?? anonymous;
    this.open({ kind, request, call: { ...call, user } }).close(asApiError(error).code, 'refused');
  }

  open(arrival: Arrival): OpenCall {
    return new OpenCall(this.#options, arrival);
  }
}

/** One call's account. */
export class OpenCall implements WatchedCall {
  readonly traffic: Traffic;
  readonly patience: Patience;
  /** Of the session, once it is known. */
  sessionUid: string | undefined;
  readonly #options: LedgerOptions;
  readonly #arrival: Arrival;
  readonly #labels: { route: Invocation['route']; kind: InvocationKind };
  readonly #begunAt = Date.now();
  readonly #begun = performance.now();
  readonly #session: string;
  /** Taken now: a connection that is over, as an HTTP/2 request that is answered, does not know it any more. */
  readonly #sourceAddress: string | undefined;
  #admitted = false;
  #watch: Watch | undefined;
  #interrupt: ((error: ApiError) => void) | undefined;
  #interruption: ApiError | undefined;

  constructor(options: LedgerOptions, arrival: Arrival) {
    const { kind, call } = arrival;
    this.#options = options;
    this.#arrival = arrival;
    this.traffic = new Traffic(options.onBytes);
    this.patience = options.patience[kind];
    this.#labels = { route: call.route, kind };
    this.#session = `${call.namespace}/${call.name}`;
    this.#sourceAddress = arrival.request.socket?.remoteAddress;
    options.metrics.begun(this.#labels);
  }

  /** Takes its place among the calls in flight. @throws ApiError TooManyRequests. */
  admit(): void {
    this.#options.inFlight.enter(this.#arrival.call.user.username, this.#session);
    this.#admitted = true;
  }

  /** The first byte of the answer is there. */
  firstByte(): void {
    this.#options.metrics.firstByte(this.#labels, (performance.now() - this.#begun) / 1000);
  }

  /** It is being carried now, within its time limits, by somebody who can be interrupted. */
  carried(interrupt: (error: ApiError) => void): void {
    this.#watch ??= this.#options.watchdog.watch(this);
    this.#interrupt = interrupt;
  }

  interrupt(error: ApiError): void {
    this.#interruption = error;
    this.#interrupt?.(error);
  }

  /**
   * Keeps a call from being carried again once its time is over.
   * @throws ApiError that it was interrupted with.
   */
  throwIfInterrupted(): void {
    if (this.#interruption !== undefined) throw this.#interruption;
  }

  /** It is over. @param code HTTP status, 0 when none was sent. */
  close(code: number, outcome: Outcome): void {
    const { inFlight, watchdog, metrics, audit } = this.#options;
    const { call, request } = this.#arrival;
    if (this.#admitted) inFlight.leave(call.user.username, this.#session);
    if (this.#watch !== undefined) watchdog.forget(this.#watch);
    const ended = this.#interruption === undefined ? outcome : 'expired';
    metrics.ended(this.#labels, code, ended, this.traffic);
    const { route, verb, user, namespace, name } = call;
    audit.write({
      route,
      verb,
      user,
      namespace,
      name,
      requestUri: request.url ?? '',
      sourceAddress: this.#sourceAddress,
      auditId: singleHeader(request.headers['audit-id']),
      sessionUid: this.sessionUid,
      code,
      outcome: ended,
      traffic: this.traffic,
      begunAt: this.#begunAt,
      durationMs: performance.now() - this.#begun,
    });
  }
}

function singleHeader(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
