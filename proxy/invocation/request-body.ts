import { Readable } from 'node:stream';
import { ApiError } from '../../apis/machinery/errors.ts';
import type { ClientRequest } from '../../apis/runtime/listener.ts';

/**
 * How long a sandbox may leave a request unread. While a client's socket is not read, not even its leaving is noticed,
 * so this also bounds how long a sandbox can hold on to clients that have gone.
 */
const longestStallMs = 60_000;

export interface RequestBodyOptions {
  request: ClientRequest;
  limitBytes: number;
  /** Called once before the first byte is asked for: where `Expect: 100-continue` is answered. */
  onWanted?: (() => void) | undefined;
}

/**
 * The body of a client's request on its way to a sandbox: counted, paused by whoever reads it, and independent of the
 * client's connection, which must outlive it (the sandbox may answer before it has read all of it).
 */
export class RequestBody {
  readonly #options: RequestBodyOptions;
  #bytes = 0;
  #wanted = false;

  constructor(options: RequestBodyOptions) {
    this.#options = options;
  }

  /** Whether a byte of it has been taken: from then on it cannot be sent a second time. */
  get begun(): boolean {
    return this.#bytes > 0;
  }

  /** A stream of the body for one attempt; the next attempt may open another one as long as nothing has {@link begun}. */
  open(): Readable {
    const { request, limitBytes } = this.#options;
    let reading = false;
    let stalled: NodeJS.Timeout | undefined;
    const onData = (chunk: Buffer) => {
      this.#bytes += chunk.length;
      if (this.#bytes > limitBytes) stream.destroy(tooLarge(limitBytes));
      else if (!stream.push(chunk)) {
        request.pause();
        stalled = setTimeout(() => stream.destroy(notTaken()), longestStallMs);
      }
    };
    const onEnd = () => {
      detach();
      stream.push(null);
    };
    const onClose = () => stream.destroy(new Error('the client went away while it sent its request'));
    const attach = () => request.on('data', onData).on('end', onEnd).on('error', onClose).on('close', onClose);
    const detach = () => request.off('data', onData).off('end', onEnd).off('error', onClose).off('close', onClose);
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
        request.resume();
      },
      destroy: (error, callback) => {
        clearTimeout(stalled);
        detach();
        if (reading) request.pause();
        callback(error);
      },
    });
    return stream;
  }

  #want(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#options.onWanted?.();
  }
}

/**
 * @throws ApiError RequestEntityTooLarge when a request announces more than the limit, before anything is dialled.
 */
export function checkAnnouncedLength(request: ClientRequest, limitBytes: number): void {
  if (Number(request.headers['content-length'] ?? 0) > limitBytes) throw tooLarge(limitBytes);
}

function notTaken(): ApiError {
  return new ApiError('UpstreamTimeout', 'the sandbox does not read the request; look at its program, then try again');
}

function tooLarge(limitBytes: number): ApiError {
  const message = `Request entity too large: limit is ${limitBytes} bytes; send the content in parts`;
  return new ApiError('RequestEntityTooLarge', message);
}
