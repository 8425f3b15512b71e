import { type IncomingMessage, STATUS_CODES } from 'node:http';
import { type Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ApiError } from '../machinery/errors.ts';
import type { ClientResponse } from './listener.ts';

/** What a request was that the parser refused, by the error's code; everything else is malformed. */
const refusals: Readonly<Record<string, () => ApiError>> = {
  HPE_HEADER_OVERFLOW: () =>
    new ApiError('BadRequest', 'the headers of the request are too large; send fewer or shorter ones', { code: 431 }),
  HPE_CHUNK_EXTENSIONS_OVERFLOW: () =>
    new ApiError('RequestEntityTooLarge', 'the chunk extensions of the request are too large; send it without them'),
  ERR_HTTP_REQUEST_TIMEOUT: () =>
    new ApiError('Timeout', 'the headers of the request did not come in time; send it again', { code: 408 }),
};

type VersionAndHeaders = Pick<IncomingMessage, 'httpVersionMajor' | 'httpVersionMinor' | 'headers'>;

/** What is wrong with an HTTP/1 request that Node's parser lets pass. */
export function refusalOf({ httpVersionMajor, httpVersionMinor, headers }: VersionAndHeaders): ApiError | undefined {
  // The parser takes HTTP/0.9 and the text "HTTP/2.0" as well.
  if (httpVersionMajor !== 1) {
    return new ApiError('BadRequest', 'this version of HTTP is not spoken here; use HTTP/1.1 or 2', { code: 505 });
  }
  // RFC 9112 §3.2
  if (headers.host === undefined && httpVersionMinor === 1) {
    return new ApiError('BadRequest', 'a request needs a Host header');
  }
  // RFC 9112 §6.1: whoever of the way speaks HTTP/1.0 may have seen another end of it.
  if (headers['transfer-encoding'] !== undefined && httpVersionMinor === 0) {
    return new ApiError('BadRequest', 'HTTP/1.0 has no Transfer-Encoding; use HTTP/1.1');
  }
  return undefined;
}

/** How long a client may go on sending what nobody reads any more; a reset could overtake the answer (RFC 9112 §9.6). */
const lingerMs = 2_000;

interface Malformed {
  error: NodeJS.ErrnoException;
  /** See owedBy. */
  owed: 'none' | 'broken' | 'another';
}

/** Ends a connection whose bytes are no HTTP/1.1, with an answer if it can be taken for nothing else. */
export function refuseMalformed(socket: Duplex, { error, owed }: Malformed): void {
  // Parsers repeat their complaint for everything that comes after it.
  if (socket.writableEnded) return;
  const code = error.code ?? '';
  const isSyntax = code.startsWith('HPE_') || code.startsWith('ERR_HTTP_');
  if (!isSyntax || owed === 'another' || !socket.writable) {
    socket.destroy();
    return;
  }
  const refusal =
    refusals[code]?.() ?? new ApiError('BadRequest', 'the request is no well-formed HTTP/1.1; correct its syntax');
  // Whoever serves the request in whose body this happened learns it by the end of the connection, at once.
  if (owed === 'broken') {
    turnAway(socket, refusal);
    return;
  }
  write(socket, refusal);
  socket.end();
  const timer = setTimeout(() => socket.destroy(), lingerMs).unref();
  socket.once('close', () => clearTimeout(timer));
}

/** Answers a connection in place of whatever comes on it, and closes it. */
export function turnAway(socket: Duplex, error: ApiError): void {
  write(socket, error);
  if (socket instanceof Socket) socket.destroySoon();
  else socket.end(() => socket.destroy());
}

function write(socket: Duplex, error: ApiError): void {
  socket.on('error', () => socket.destroy());
  const body = bodyOf(error);
  const fields = { ...fieldsOf(error), 'content-length': String(body.length), connection: 'close' };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 ${error.code} ${STATUS_CODES[error.code] ?? 'Error'}\r\n${lines.join('')}\r\n`);
  socket.write(body);
}

/**
 * Refuses CONNECT, extended or not (RFC 9110 §9.3.6, RFC 8441): nobody is a tunnel here. Node hands HTTP/1.1's over as a
 * socket, HTTP/2's as a request.
 */
export function refuseConnect(_request: unknown, client: Duplex | Http2ServerResponse<Http2ServerRequest>): void {
  const error = new ApiError('MethodNotAllowed', 'CONNECT is not allowed here; ask for an upgrade instead');
  if (!(client instanceof Http2ServerResponse)) {
    turnAway(client, error);
    return;
  }
  refuse(client, error);
}

/** Answers a request; in HTTP/1.1 its connection is closed when its turn to be answered has come. */
export function refuse(response: ClientResponse, error: ApiError): void {
  const body = bodyOf(error);
  const fields = { ...fieldsOf(error), 'content-length': String(body.length) };
  if (response instanceof Http2ServerResponse) response.writeHead(error.code, fields).end(body);
  else response.writeHead(error.code, { ...fields, connection: 'close' }).end(body);
}

/** The refusal of one connection too many. */
export function overloaded(): ApiError {
  const message = 'this process has as many connections as it may; try again later';
  return new ApiError('ServiceUnavailable', message, { retryAfterSeconds: 1 });
}

function bodyOf(error: ApiError): Buffer {
  return Buffer.from(`${JSON.stringify(error.toStatus())}\n`);
}

function fieldsOf(error: ApiError): Record<string, string> {
  return {
    'content-type': 'application/json',
    ...(error.retryAfterSeconds === undefined ? {} : { 'retry-after': String(error.retryAfterSeconds) }),
  };
}
