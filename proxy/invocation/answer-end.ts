import { constants } from 'node:http2';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { ClientRequest, ClientResponse } from '../../apis/runtime/listener.ts';
import { http2Stream } from './exchange.ts';

/** How long a client may go on sending a request that has been answered already (RFC 9112 §9.6). */
const lingerMs = 5_000;

/** Breaks an answer off so that nobody can take what was sent for the whole: a reset of the stream or connection. */
export function cutResponse(response: ClientResponse): void {
  const stream = http2Stream(response);
  if (stream !== undefined) stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  // A pipelined answer whose turn has not come has no socket of its own yet.
  else resetSocket(response.socket ?? response.req.socket);
}

/** Closes a connection with a reset. TLS has none of its own; there a missing close_notify says the same. */
export function resetSocket(socket: Duplex): void {
  if (socket instanceof Socket && !(socket instanceof TLSSocket)) socket.resetAndDestroy();
  else socket.destroy();
}

/** Closes a socket once everything written to it has been sent. */
export function closeSocket(socket: Duplex): void {
  if (socket instanceof Socket) socket.destroySoon();
  else socket.end(() => socket.destroy());
}

/**
 * Ends an answer. A client that has not sent all of its request yet may finish it: the rest is read and dropped for a
 * while. Closing at once would reset the connection, and the reset could overtake the answer (RFC 9112 §9.6).
 */
export function endAnswer(request: ClientRequest, response: ClientResponse): void {
  const stream = http2Stream(response);
  if (stream === undefined ? request.complete : stream.readableEnded || stream.endAfterHeaders) {
    response.end();
    return;
  }
  // Node closes the connection together with an answer after which there is to be no other, so that end has to wait.
  const waits = stream === undefined && asksToClose(request);
  if (!waits) response.end();
  const timer = setTimeout(() => {
    // RFC 9113 §8.1 lets us send this RST_STREAM(NO_ERROR) with the end of the answer, but kube-apiserver's proxy drops
    // an answer that comes with one while it is still sending the request.
    if (stream !== undefined) stream.close(constants.NGHTTP2_NO_ERROR);
    else request.socket.destroy();
  }, lingerMs);
  timer.unref();
  request.once('close', () => {
    clearTimeout(timer);
    if (waits) response.end();
  });
  // Whoever read the body so far may pause it when they learn, a little later, that nobody wants it any more.
  request.on('pause', () => request.resume());
  request.resume();
}

/** Whether a connection is to be closed after this request (RFC 9112 §9.3). */
function asksToClose({ httpVersion, headers }: ClientRequest): boolean {
  const options = (headers.connection ?? '').toLowerCase();
  return httpVersion === '1.0' ? !options.includes('keep-alive') : options.includes('close');
}
