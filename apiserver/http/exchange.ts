import type { Writable } from 'node:stream';
import type { ClientResponse } from '../../apis/runtime/listener.ts';
import { flushHead, http2Stream, writeHead } from '../../proxy/invocation/exchange.ts';

type Headers = Record<string, string | string[]>;

/** Sends a JSON document; a HEAD request gets its headers only. */
export function sendJson(response: ClientResponse, status: number, body: unknown, headers: Headers = {}): void {
  const type = { 'content-type': 'application/json' };
  sendBytes(response, status, Buffer.from(`${JSON.stringify(body)}\n`), { ...type, ...headers });
}

/** Sends bytes with their length. */
export function sendBytes(response: ClientResponse, status: number, body: Buffer, headers: Headers): void {
  writeHead(response, status, flat({ ...headers, 'content-length': String(body.length) }));
  response.end(body);
}

/** Says that what the client has is still right (RFC 9110 §15.4.5). */
export function sendNotModified(response: ClientResponse, headers: Headers): void {
  writeHead(response, 304, flat(headers));
  response.end();
}

/** Sends the headers of a stream at once, so that its reader knows it began, and returns where to write. */
export function beginStream(response: ClientResponse, headers: Headers): Writable {
  writeHead(response, 200, flat(headers));
  flushHead(response);
  // HTTP/2's compatible response hides how much is waiting; its stream tells.
  return http2Stream(response) ?? response;
}

/** Texts as `Warning` headers (RFC 7234 §5.5, as k8s.io/apiserver/pkg/warning writes them). */
export function warningHeaders(texts: readonly string[]): Headers {
  if (texts.length === 0) return {};
  return { warning: texts.map((text) => `299 - "${text.replace(/[\\"]/g, '\\$&').replace(/[^\x20-\x7e]/g, '?')}"`) };
}

/** Headers as name, value, name, value; a name with several values is repeated. */
function flat(headers: Headers): string[] {
  return Object.entries(headers).flatMap(([name, value]) => [value].flat().flatMap((one) => [name, one]));
}
