import type { Writable } from 'node:stream';
import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import type { ClientRequest, ClientResponse } from '../../apis/runtime/listener.ts';
import { flushHead, http2Stream, writeHead } from '../../proxy/invocation/exchange.ts';
import type { Representation } from './negotiation.ts';
import { layoutFor, objectBytes } from './object-text.ts';
import { warningTexts } from './warnings.ts';

const gzipAsync = promisify(gzip);

type Headers = Record<string, string | string[]>;

/** Sends a JSON document; a HEAD request gets its headers only. */
export function sendJson(response: ClientResponse, status: number, body: unknown, headers: Headers = {}): void {
  const type = { 'content-type': 'application/json' };
  sendBytes(response, status, Buffer.from(`${JSON.stringify(body)}\n`), { ...type, ...headers });
}

/** A request and its response, as far as an answer depends on them. */
interface Answered {
  request: ClientRequest;
  response: ClientResponse;
  info: { query: URLSearchParams };
}

/** What is answered, and how the client wants it written. */
interface Answer {
  status: number;
  body: object;
  representation: Pick<Representation, 'mediaType' | 'pretty'>;
  /** Texts of Warning headers. */
  warnings?: readonly string[];
}

/** Answers above this size are compressed for those who accept that (responsewriters, defaultGzipThresholdBytes). */
const gzipThresholdBytes = 128 * 1024;

/**
 * Sends an object as the client wants it written: JSON, indented for people, or YAML; compressed when it is large
 * (k8s.io/apiserver/pkg/endpoints/handlers/responsewriters, SerializeObject).
 */
export async function sendObject({ request, response, info }: Answered, answer: Answer): Promise<void> {
  const { status, body, representation, warnings = [] } = answer;
  const layout = layoutFor({ headers: request.headers, query: info.query }, representation);
  const bytes = await objectBytes(body, layout);
  const headers: Headers = { 'content-type': representation.mediaType, ...warningHeaders(warnings) };
  if (bytes.length <= gzipThresholdBytes || !acceptsGzip(request.headers['accept-encoding'])) {
    return sendBytes(response, status, bytes, headers);
  }
  const packed = await gzipAsync(bytes, { level: constants.Z_BEST_SPEED });
  sendBytes(response, status, packed, { ...headers, 'content-encoding': 'gzip', vary: 'Accept-Encoding' });
}

function acceptsGzip(header: string | string[] | undefined): boolean {
  return String(header ?? '')
    .split(',')
    .some((clause) => clause.split(';')[0]?.trim() === 'gzip');
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

/** Texts as `Warning` headers. */
function warningHeaders(texts: readonly string[]): Headers {
  return texts.length === 0 ? {} : { warning: warningTexts(texts) };
}

/** Headers as name, value, name, value; a name with several values is repeated. */
function flat(headers: Headers): string[] {
  return Object.entries(headers).flatMap(([name, value]) => [value].flat().flatMap((one) => [name, one]));
}
