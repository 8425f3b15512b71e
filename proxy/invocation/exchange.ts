import type { OutgoingHttpHeaders } from 'node:http';
import { constants, Http2ServerRequest, Http2ServerResponse, type ServerHttp2Stream } from 'node:http2';
import type { ClientRequest, ClientResponse } from '../../apis/runtime/listener.ts';

/** Header that names the session on every answer about one: its uid, as AgentCube's clients expect. */
export const sessionIdHeader = 'x-agentcube-session-id';

/** The HTTP/2 stream behind a response; undefined for HTTP/1. */
export function http2Stream(response: ClientResponse): ServerHttp2Stream | undefined {
  return response instanceof Http2ServerResponse ? response.stream : undefined;
}

/** Whether a request has a body, by its framing alone (RFC 9112 §6, RFC 9113 §8.1). */
export function hasBody(request: ClientRequest): boolean {
  if (request instanceof Http2ServerRequest) return !request.stream.endAfterHeaders;
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  return encoding !== undefined || (length !== undefined && length !== '0');
}

/** Whether the client has gone, so that nobody reads an answer. */
export function isGone(response: ClientResponse): boolean {
  const stream = http2Stream(response);
  return stream === undefined ? response.destroyed : stream.destroyed || stream.closed;
}

/** Whether an answer was sent whole: ended by us, and in HTTP/2 not reset by the client before that. */
export function isSent(response: ClientResponse): boolean {
  const stream = http2Stream(response);
  if (stream === undefined) return response.writableFinished;
  return response.writableEnded && stream.rstCode === constants.NGHTTP2_NO_ERROR;
}

/** Begins an answer with headers as name, value, name, value. The two versions' types have no call in common. */
export function writeHead(response: ClientResponse, code: number, headers: string[]): void {
  if (response instanceof Http2ServerResponse) response.writeHead(code, headers);
  else response.writeHead(code, headers);
}

/** Sends an interim answer (RFC 9110 §15.2) with headers as name, value, name, value. HTTP/1.0 has none. */
export function writeInterim(response: ClientResponse, code: number, headers: string[]): void {
  if (response instanceof Http2ServerResponse) {
    const fields: OutgoingHttpHeaders = { ':status': code };
    for (let i = 0; i + 1 < headers.length; i += 2) append(fields, headers[i] ?? '', headers[i + 1] ?? '');
    response.stream.additionalHeaders(fields);
  } else if (response.req.httpVersion !== '1.0') {
    response.writeInformation(code, headers);
  }
}

/** Gives an answer, which has not ended yet, trailers as name, value, name, value. */
export function setTrailers(response: ClientResponse, trailers: readonly string[]): void {
  const fields: OutgoingHttpHeaders = {};
  for (let i = 0; i + 1 < trailers.length; i += 2) append(fields, trailers[i] ?? '', trailers[i + 1] ?? '');
  response.addTrailers(fields);
}

function append(fields: OutgoingHttpHeaders, name: string, value: string): void {
  const lower = name.toLowerCase();
  const former = fields[lower];
  if (former === undefined) fields[lower] = value;
  else fields[lower] = Array.isArray(former) ? [...former, value] : [String(former), value];
}

/** Sends the headers now. HTTP/2 does so by itself. */
export function flushHead(response: ClientResponse): void {
  if (!(response instanceof Http2ServerResponse)) response.flushHeaders();
}
