import { STATUS_CODES } from 'node:http';
import type { Duplex, Writable } from 'node:stream';
import { type ApiError, asApiError } from '../../apis/machinery/errors.ts';
import type { ClientRequest, ClientResponse } from '../../apis/runtime/listener.ts';
import type { Log } from '../../apis/runtime/log.ts';
import { closeSocket, cutResponse, endAnswer } from './answer-end.ts';
import { isGone, sessionIdHeader, writeHead } from './exchange.ts';

/** How an error is written down for a kind of client. */
export interface ErrorFormat {
  contentType: string;
  /** The whole body; nothing of the error's cause may be in it. */
  body(error: ApiError): string;
  /** Names and values of headers in place of those against the guessing of media types. */
  headers?(error: ApiError): [string, string][];
}

/** Longest public sentence of an error. */
const longestMessage = 64 * 1024;

/** A Kubernetes Status. */
const statusFormat: ErrorFormat = {
  contentType: 'application/json',
  body: (error) => {
    const status = error.toStatus();
    const message = status.message?.slice(0, longestMessage);
    return `${JSON.stringify(message === undefined ? status : { ...status, message })}\n`;
  },
};

/**
 * Answers a request with a thrown error in a format, with its code. The one place where errors become answers,
 * for both HTTP versions. After the headers of an answer were sent, the answer is cut off instead.
 */
export function respondError(
  request: ClientRequest,
  response: ClientResponse,
  thrown: unknown,
  log: Log,
  format: ErrorFormat = statusFormat,
): void {
  const error = asApiError(thrown);
  logFailure(error, log);
  if (isGone(response)) return;
  if (response.headersSent) {
    cutResponse(response);
    return;
  }
  try {
    sendError(request, response, error, format);
  } catch (failure) {
    // Whoever calls this has nobody left to tell: what cannot be answered is broken off.
    log.error('an error could not be answered', { error: failure });
    cutResponse(response);
  }
}

function sendError(request: ClientRequest, response: ClientResponse, error: ApiError, format: ErrorFormat): void {
  // A head that Node refused to write leaves its headers behind.
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  const body = Buffer.from(format.body(error));
  const headers = [...errorHeaders(error, format), ['content-length', String(body.length)]];
  writeHead(response, error.code, headers.flat());
  const output: Writable = response;
  if (request.method !== 'HEAD') output.write(body);
  endAnswer(request, response);
}

/** Answers an upgrade request with a thrown error, in place of the 101, and closes its connection. */
export function rejectUpgrade(socket: Duplex, thrown: unknown, log: Log, format: ErrorFormat = statusFormat): void {
  const error = asApiError(thrown);
  logFailure(error, log);
  if (!socket.writable) return;
  const body = Buffer.from(format.body(error));
  const headers = [...errorHeaders(error, format), ['content-length', String(body.length)], ['connection', 'close']];
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 ${error.code} ${STATUS_CODES[error.code] ?? 'Error'}\r\n${lines.join('')}\r\n`);
  socket.write(body);
  closeSocket(socket);
}

function errorHeaders(error: ApiError, format: ErrorFormat): [string, string][] {
  const sessionId = error.details?.uid;
  return [
    ['content-type', format.contentType],
    ...(format.headers?.(error) ?? [['x-content-type-options', 'nosniff'] satisfies [string, string]]),
    ...(error.code === 401 ? [['www-authenticate', 'Bearer'] satisfies [string, string]] : []),
    ...(error.retryAfterSeconds === undefined
      ? []
      : [['retry-after', String(error.retryAfterSeconds)] satisfies [string, string]]),
    // Errors about a known session carry its uid; see aboutSession.
    ...(sessionId === undefined ? [] : [[sessionIdHeader, sessionId] satisfies [string, string]]),
  ];
}

/** Accidents of ours are errors; whatever else has a hidden cause helps whoever looks for one. */
function logFailure(error: ApiError, log: Log): void {
  if (error.reason === 'InternalError') log.error('request failed', { error: error.cause ?? error });
  else if (error.cause !== undefined) log.debug('request refused', { error });
}
