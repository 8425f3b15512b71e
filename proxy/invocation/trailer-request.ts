import type { ClientRequest as OutgoingRequest } from 'node:http';
import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { ApiError } from '../../apis/machinery/errors.ts';
import { type OwnRequest, openOnOwnConnection } from './own-connection.ts';
import { connectTimeoutMs } from './sandbox-agent.ts';

/** One request with trailers after its body; its headers are without Trailer and those about framing. */
export interface TrailerRequest extends OwnRequest {
  /** What the client announced: the value of its Trailer headers. */
  announced: string;
  body: Readable | Buffer;
  /** The trailers as name, value, name, value; asked for when the body has ended. */
  trailers: () => readonly string[];
  /** How long the sandbox may take until its answer begins, from the last of the request on. */
  answerTimeoutMs: number;
}

/**
 * Sends a request with trailers (RFC 9110 §6.5), which undici cannot (its request ends with an empty trailer section), over a
 * connection of its own. Calls a handler as undici does.
 */
export function dispatchWithTrailers(call: TrailerRequest, handler: Dispatcher.DispatchHandler): void {
  const framing = ['Connection', 'close', 'Transfer-Encoding', 'chunked', 'Trailer', call.announced];
  const { outgoing, connected } = openOnOwnConnection({ ...call, headers: [...framing, ...call.headers] });
  new TrailerExchange(outgoing, call, handler).begin(connected);
}

/** A request of node:http that looks to its handler like one of undici. */
class TrailerExchange implements Dispatcher.DispatchController {
  rawHeaders: string[] = [];
  rawTrailers: string[] = [];
  reason: Error | null = null;
  paused = false;
  readonly #outgoing: OutgoingRequest;
  readonly #call: TrailerRequest;
  readonly #handler: Dispatcher.DispatchHandler;
  #answer: Readable | undefined;
  #connected = false;
  #over = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(outgoing: OutgoingRequest, call: TrailerRequest, handler: Dispatcher.DispatchHandler) {
    this.#outgoing = outgoing;
    this.#call = call;
    this.#handler = handler;
  }

  get aborted(): boolean {
    return this.reason !== null;
  }

  abort(reason: Error): void {
    this.reason = reason;
    this.#fail(reason);
  }

  pause(): void {
    this.paused = true;
    this.#answer?.pause();
  }

  resume(): void {
    this.paused = false;
    this.#answer?.resume();
  }

  /** @param connected event of the socket that says that it may be used. */
  begin(connected: 'connect' | 'secureConnect'): void {
    const outgoing = this.#outgoing;
    this.#expectWithin(connectTimeoutMs);
    outgoing.on('error', (error) => this.#fail(error));
    outgoing.once('socket', (socket) => {
      socket.setNoDelay(true);
      socket.once(connected, () => this.#guard(() => this.#send()));
    });
    // What was asked for is no upgrade; a sandbox that switches all the same is refused by the handler.
    outgoing.on('upgrade', (answer, socket) => {
      socket.destroy();
      this.#guard(() => this.#head(101, answer.rawHeaders));
    });
    outgoing.on('information', ({ statusCode, rawHeaders }) => this.#guard(() => this.#head(statusCode, rawHeaders)));
    outgoing.on('response', (answer) => {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#answer = answer;
      answer.on('error', (error) => this.#fail(error));
      answer.on('data', (chunk: Buffer) => this.#guard(() => this.#handler.onResponseData?.(this, chunk)));
      answer.on('end', () => {
        this.rawTrailers = answer.rawTrailers;
        this.#guard(() => this.#handler.onResponseEnd?.(this, {}));
        this.#end();
      });
      this.#guard(() => this.#head(answer.statusCode ?? 502, answer.rawHeaders));
      if (this.paused) answer.pause();
    });
  }

  #send(): void {
    this.#connected = true;
    this.#handler.onRequestStart?.(this, {});
    if (this.#over) return;
    const { body, trailers, answerTimeoutMs } = this.#call;
    this.#expectWithin(answerTimeoutMs);
    const source = body instanceof Readable ? body : Readable.from([body]);
    source.on('error', (error) => this.#fail(error));
    source.on('data', () => this.#timer?.refresh());
    source.on('end', () => {
      // Node throws for what it would not send.
      this.#guard(() => this.#outgoing.addTrailers(pairs(trailers())));
      this.#outgoing.end();
    });
    source.pipe(this.#outgoing, { end: false });
  }

  #head(code: number, rawHeaders: string[]): void {
    this.rawHeaders = rawHeaders;
    this.#handler.onResponseStarted?.();
    this.#handler.onResponseStart?.(this, code, {}, '');
  }

  #expectWithin(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const what = this.#connected ? 'the sandbox did not begin to answer' : 'the sandbox could not be reached';
      this.#fail(new ApiError('UpstreamTimeout', `${what} in time; try again, or ask for less in one call`));
    }, ms);
  }

  /** What a handler throws ends the request, as in undici. */
  #guard(action: () => void): void {
    if (this.#over) return;
    try {
      action();
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #fail(error: Error): void {
    if (this.#over) return;
    this.#end();
    this.#handler.onResponseError?.(this, error);
  }

  /** The answer may be there before the request was read to its end; then the rest of that is nobody's. */
  #end(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#outgoing.destroy();
    this.#answer?.destroy();
    const { body } = this.#call;
    if (body instanceof Readable) body.destroy();
  }
}

function pairs(fields: readonly string[]): [string, string][] {
  const found: [string, string][] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) found.push([fields[i] ?? '', fields[i + 1] ?? '']);
  return found;
}
