import type { Writable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { ApiError } from '../../apis/machinery/errors.ts';
import type { ClientRequest, ClientResponse } from '../../apis/runtime/listener.ts';
import { cutResponse, endAnswer } from './answer-end.ts';
import {
  flushHead,
  http2Stream,
  isGone,
  isSent,
  sessionIdHeader,
  setTrailers,
  writeHead,
  writeInterim,
} from './exchange.ts';
import { type AnswerForm, interimHeaders, type RawHeaders, responseHeaders } from './header-filter.ts';
import type { RequestBody } from './request-body.ts';
import type { Traffic } from './traffic.ts';
import { answerTrailers } from './trailer-filter.ts';
import { isUnknownKey, refusalLimitBytes } from './unknown-key.ts';

export interface RelayOptions {
  request: ClientRequest;
  response: ClientResponse;
  body: RequestBody | undefined;
  authorization: string | undefined;
  sessionId: string;
  traffic: Traffic;
  onFirstByte: () => void;
}

export type RelayEnd =
  /** The whole answer has been sent to the client. */
  | { kind: 'answered'; code: number }
  /** The sandbox broke off in the middle of its answer, and the client's connection was reset. */
  | { kind: 'cut'; code: number; error: Error }
  /** The client left before it had the whole answer; the sandbox was told by a reset. */
  | { kind: 'client-gone'; code: number | undefined }
  /** The daemon does not know the token's key. Nothing has been sent to the client. */
  | { kind: 'unknown-key' };

/** What the interim answers before one answer may have in all, each counted with its own size and a little more. */
const interimLimitBytes = 64 * 1024;
const interimCostBytes = 32;

/** A 401 that is held back until it is known whose it is. */
interface HeldAnswer {
  code: number;
  headers: RawHeaders;
  chunks: Buffer[];
  bytes: number;
}

/** Takes a sandbox's answer from undici and gives it to the client as it comes. */
export class AnswerRelay implements Dispatcher.DispatchHandler {
  /** Whether it was sent over a connection that had served before; set by whoever chooses the connection. */
  reused = false;
  readonly #options: RelayOptions;
  readonly #end = Promise.withResolvers<RelayEnd>();
  #controller: Dispatcher.DispatchController | undefined;
  #held: HeldAnswer | undefined;
  #code: number | undefined;
  #wrote = false;
  #heard = false;
  #interimBytes = 0;
  #cut: Error | undefined;
  #settled = false;

  constructor(options: RelayOptions) {
    this.#options = options;
    const { response } = options;
    response.on('close', this.#onClose);
    response.on('drain', this.#onDrain);
    // A failed write is followed by "close", which says all there is to say; unheard, it would end the process.
    response.on('error', this.#onClose);
  }

  /** How it went; rejects with what went wrong before anything was sent to the client. */
  get end(): Promise<RelayEnd> {
    return this.#end.promise;
  }

  /** Whether a connection came about, so that the sandbox may have seen the request. */
  get started(): boolean {
    return this.#controller !== undefined;
  }

  /** Ends the call: with this error as long as no answer has begun, else by breaking the answer off. */
  interrupt(error: ApiError): void {
    if (this.#settled) return;
    if (this.#code === undefined) {
      this.#settle();
      this.#end.reject(error);
      this.#controller?.abort(error);
      return;
    }
    this.#cut = error;
    cutResponse(this.#options.response);
    this.#controller?.abort(error);
  }

  /** Whether a byte of an answer came, interim ones included. */
  get heard(): boolean {
    return this.#heard;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#options.body?.sending();
    if (this.#settled) controller.abort(new Error('the client went away'));
  }

  onResponseStarted(): void {
    this.#heard = true;
  }

  onResponseStart(controller: Dispatcher.DispatchController, code: number): void {
    const headers = decodeHeaders(controller.rawHeaders);
    if (code < 200) {
      this.#inform(code, headers);
    } else if (code === 401 && this.#options.authorization !== undefined) {
      this.#held = { code, headers, chunks: [], bytes: 0 };
    } else {
      this.#begin(code, headers);
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#held === undefined) {
      this.#write(controller, chunk);
      return;
    }
    this.#held.chunks.push(chunk);
    this.#held.bytes += chunk.length;
    if (this.#held.bytes > refusalLimitBytes) this.#release(controller, this.#held);
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#held !== undefined) {
      if (isUnknownKey(Buffer.concat(this.#held.chunks))) {
        this.#settle();
        this.#end.resolve({ kind: 'unknown-key' });
        return;
      }
      this.#release(controller, this.#held);
    }
    const { request, response } = this.#options;
    const trailers = decodeHeaders(controller.rawTrailers ?? []);
    if (trailers.length > 0) setTrailers(response, answerTrailers(trailers, formOf(this.#options, this.#code ?? 200)));
    endAnswer(request, response);
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#settled) return;
    if (this.#code === undefined) {
      this.#settle();
      this.#end.reject(error);
      return;
    }
    this.#cut = error;
    cutResponse(this.#options.response);
  }

  /** Passes an interim answer on; what a client cannot take, it does without. */
  #inform(code: number, headers: RawHeaders): void {
    if (code === 101) throw new ApiError('UpstreamFailed', 'the sandbox switched to a protocol nobody asked it for');
    this.#interimBytes += interimCostBytes;
    for (const part of headers) this.#interimBytes += part.length;
    if (this.#interimBytes > interimLimitBytes) {
      throw new ApiError('UpstreamFailed', 'the sandbox sent interim answers without end and no answer');
    }
    const { response } = this.#options;
    if (!isGone(response)) writeInterim(response, code, interimHeaders(headers, formOf(this.#options, code)));
  }

  #begin(code: number, headers: RawHeaders): void {
    const { response, body, sessionId, onFirstByte } = this.#options;
    const sent = responseHeaders(headers, code, formOf(this.#options, code));
    sent.push(sessionIdHeader, sessionId);
    if (body !== undefined) body.answered = true;
    onFirstByte();
    writeHead(response, code, sent);
    // HTTP/1 headers travel with the first bytes of the body, which mostly come with them; a stream's may take an hour.
    process.nextTick(() => {
      if (!this.#wrote && !response.writableEnded && !isGone(response)) flushHead(response);
    });
    this.#code = code;
  }

  #release(controller: Dispatcher.DispatchController, { code, headers, chunks }: HeldAnswer): void {
    this.#held = undefined;
    this.#begin(code, headers);
    for (const chunk of chunks) this.#write(controller, chunk);
  }

  #write(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#wrote = true;
    this.#options.traffic.send(chunk.length);
    const output: Writable = this.#options.response;
    if (!output.write(chunk)) controller.pause();
  }

  readonly #onDrain = (): void => this.#controller?.resume();

  /** The end of every answer that has begun, and of every client. */
  readonly #onClose = (): void => {
    if (this.#settled) return;
    this.#settle();
    const code = this.#code;
    if (code !== undefined && this.#cut !== undefined) {
      this.#end.resolve({ kind: 'cut', code, error: this.#cut });
    } else if (code !== undefined && isSent(this.#options.response)) {
      this.#end.resolve({ kind: 'answered', code });
    } else {
      this.#end.resolve({ kind: 'client-gone', code });
      this.#controller?.abort(new Error('the client went away'));
    }
  };

  #settle(): void {
    this.#settled = true;
    this.#options.response.off('close', this.#onClose).off('drain', this.#onDrain);
  }
}

function formOf({ request, response }: RelayOptions, code: number): AnswerForm {
  if (http2Stream(response) !== undefined) return 'HTTP/2';
  const bare = code < 200 || code === 204 || code === 304 || request.method === 'HEAD';
  return bare || request.httpVersion === '1.0' ? 'plain' : 'chunked';
}

/** Names and values as HTTP/1 has them on the wire: bytes, one per character. */
function decodeHeaders(raw: Dispatcher.DispatchController['rawHeaders']): RawHeaders {
  if (!Array.isArray(raw)) throw new TypeError('the headers of an HTTP/1 answer are a list');
  return (raw as readonly (Buffer | string)[]).map((part) =>
    typeof part === 'string' ? part : part.toString('latin1'),
  );
}
