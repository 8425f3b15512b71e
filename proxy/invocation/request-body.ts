import { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { ApiError } from '../../apis/machinery/errors.ts';
import type { ClientRequest } from '../../apis/runtime/listener.ts';
import type { Traffic } from './traffic.ts';

/**
 * How long a sandbox may leave a request unread. While a client's socket is not read, not even its leaving is noticed,
 * so this also bounds how long a sandbox can hold on to clients that have gone.
 */
const longestStallMs = 60_000;

/** How long a client may be silent in the middle of its request. */
const longestSilenceMs = 30_000;

export interface RequestBodyOptions {
  request: ClientRequest;
  limitBytes: number;
  /** Counts the bytes. */
  traffic: Traffic;
  /** How long the client may be silent while its body is waited for. */
  silenceMs?: number | undefined;
  /** Called once before the first byte is asked for: where `Expect: 100-continue` is answered. */
  onWanted?: (() => void) | undefined;
}

/**
 * The body of a client's request on its way to a sandbox: counted, paused by whoever reads it, and independent of the
 * client's connection, which must outlive it (the sandbox may answer before it has read all of it).
 */
export class RequestBody {
  /** Set once the sandbox answers: the two may then talk to each other with whatever breaks they like. */
  answered = false;
  readonly #options: RequestBodyOptions;
  #bytes = 0;
  #wanted = false;
  #whole: Buffer | undefined;

  constructor(options: RequestBodyOptions) {
    this.#options = options;
  }

  /** Whether a byte of it has been taken: from then on it cannot be sent a second time. */
  get begun(): boolean {
    return this.#bytes > 0;
  }

  /**
   * The body for one attempt, whole if it is there already; the next attempt may open it again as long as nothing has
   * {@link begun}.
   */
  open(): Readable | Buffer {
    this.#whole ??= wholeBody(this.#options.request);
    return this.#whole ?? this.#stream();
  }

  /** The request is being sent: a body that was given out whole is taken by that. */
  sending(): void {
    if (this.#whole === undefined || this.begun) return;
    this.#bytes = this.#whole.length;
    this.#options.traffic.receive(this.#whole.length);
  }

  #stream(): Readable {
    const { request, limitBytes, traffic, silenceMs = longestSilenceMs } = this.#options;
    let reading = false;
    let stalled: NodeJS.Timeout | undefined;
    let silence: NodeJS.Timeout | undefined;
    const onData = (chunk: Buffer) => {
      this.#bytes += chunk.length;
      traffic.receive(chunk.length);
      silence?.refresh();
      if (this.#bytes > limitBytes) stream.destroy(tooLarge(limitBytes));
      else if (!stream.push(chunk)) {
        request.pause();
        clearTimeout(silence);
        silence = undefined;
        stalled = setTimeout(() => stream.destroy(notTaken()), longestStallMs);
      }
    };
    const onSilence = () => {
      if (!this.answered) stream.destroy(tooSlow());
    };
    const onEnd = () => {
      detach();
      stream.push(null);
    };
    const onClose = () => stream.destroy(new Error('the client went away while it sent its request'));
    const attach = () => request.on('data', onData).on('end', onEnd).on('error', onClose).on('close', onClose);
    const detach = () => {
      clearTimeout(silence);
      request.off('data', onData).off('end', onEnd).off('error', onClose).off('close', onClose);
    };
    const stream = new Readable({
      read: () => {
        if (request.readableEnded) return onEnd();
        if (request.destroyed) return onClose();
        if (!reading) {
          reading = true;
          this.#want();
          attach();
        }
        clearTimeout(stalled);
        silence ??= setTimeout(onSilence, silenceMs);
        request.resume();
      },
      destroy: (error, callback) => {
        clearTimeout(stalled);
        detach();
        if (reading) request.pause();
        callback(error);
      },
    });
    // undici stops listening when a request ends before it is sent; unheard, an error would end the process.
    stream.on('error', () => undefined);
    return stream;
  }

  #want(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#options.onWanted?.();
  }
}

/** A short body mostly comes together with its headers; a stream of its own would cost more than the whole request. */
function wholeBody(request: ClientRequest): Buffer | undefined {
  if (!(request instanceof IncomingMessage)) return undefined;
  const length = Number(request.headers['content-length'] ?? Number.NaN);
  return request.readableLength === length ? ((request.read(length) as Buffer | null) ?? undefined) : undefined;
}

/**
 * @throws ApiError RequestEntityTooLarge when a request announces more than the limit, before anything is dialled.
 */
export function checkAnnouncedLength(request: ClientRequest, limitBytes: number): void {
  if (Number(request.headers['content-length'] ?? 0) > limitBytes) throw tooLarge(limitBytes);
}

/** 408 as RFC 9110 §15.5.9 has it; Kubernetes has no reason of that code. */
function tooSlow(): ApiError {
  const message = 'the rest of the request did not come in time; send it without long breaks';
  return new ApiError('Timeout', message, { code: 408 });
}

function notTaken(): ApiError {
  return new ApiError('UpstreamTimeout', 'the sandbox does not read the request; look at its program, then try again');
}

function tooLarge(limitBytes: number): ApiError {
  const message = `Request entity too large: limit is ${limitBytes} bytes; send the content in parts`;
  return new ApiError('RequestEntityTooLarge', message);
}
