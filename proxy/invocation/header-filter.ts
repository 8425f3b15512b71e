import { ApiError } from '../../apis/machinery/errors.ts';
import type { ClientRequest } from '../../apis/runtime/listener.ts';

/** Headers as undici takes and Node sends them: name, value, name, value; case and duplicates as they came. */
export type RawHeaders = readonly string[];

/** Headers of one connection (RFC 9110 §7.6.1), never forwarded in either direction. `Expect` is ours to answer. */
export const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'http2-settings',
]);

/** Prefix of a WebSocket subprotocol that carries a bearer token (k8s.io/apiserver, request/websocket/protocol.go). */
const bearerProtocol = 'base64url.bearer.authorization.k8s.io.';

/**
 * The headers of a client that a sandbox gets. Where the request came from is told by us alone, as Go's
 * httputil.ProxyRequest.SetXForwarded does.
 * @throws ApiError when a body is encoded in a way that forwarding would lose, or there are two hosts (RFC 9112 §3.2).
 */
export function requestHeaders(request: ClientRequest, authorization: string | undefined): string[] {
  const { rawHeaders } = request;
  const nominated = nominatedBy(rawHeaders);
  const kept: string[] = [];
  let cookies = -1;
  let hosts = 0;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    const value = rawHeaders[i + 1] ?? '';
    const lower = name.toLowerCase();
    if (hopByHop.has(lower)) {
      if (lower === 'transfer-encoding' && !isChunked(value)) throw unknownCoding();
      // Passed on, because we do pass trailers back; servers of gRPC insist on it.
      if (lower === 'te' && acceptsTrailers.test(value)) kept.push('TE', 'trailers');
      continue;
    }
    if (lower === 'host') {
      // It becomes the sandbox's own.
      hosts += 1;
      if (hosts > 1) throw new ApiError('BadRequest', 'a request may have one Host header only');
      continue;
    }
    if (isOfConnection(lower, nominated) || isPrivate(lower)) continue;
    if (lower === 'cookie' && cookies !== -1) {
      // HTTP/2 clients may split the cookies; HTTP/1 servers expect one header (RFC 9113 §8.2.3).
      kept[cookies] += `; ${value}`;
      continue;
    }
    kept.push(name, value);
    if (lower === 'cookie') cookies = kept.length - 1;
  }
  pushOrigin(kept, request);
  if (authorization !== undefined) kept.push('authorization', authorization);
  return kept;
}

const acceptsTrailers = /(?:^|,)[ \t]*trailers[ \t]*(?:,|$)/i;

/** An IPv4 address as a socket for both versions of IP shows it. */
const mappedAddress = '::ffff:';

function pushOrigin(kept: string[], request: ClientRequest): void {
  const { socket, headers } = request;
  const address = socket.remoteAddress;
  if (address !== undefined) {
    kept.push('X-Forwarded-For', address.startsWith(mappedAddress) ? address.slice(mappedAddress.length) : address);
  }
  const host = headers.host ?? headers[':authority'];
  if (typeof host === 'string' && host !== '') kept.push('X-Forwarded-Host', host);
  kept.push('X-Forwarded-Proto', 'encrypted' in socket && socket.encrypted === true ? 'https' : 'http');
}

/** The headers of an upgrade request that a sandbox gets: {@link requestHeaders}, without a body's and with the upgrade. */
export function upgradeHeaders(request: ClientRequest, authorization: string | undefined): string[] {
  const forwarded = requestHeaders(request, authorization);
  const kept = ['Connection', 'Upgrade', 'Upgrade', String(request.headers.upgrade ?? '')];
  for (let i = 0; i + 1 < forwarded.length; i += 2) {
    const name = forwarded[i] ?? '';
    const lower = name.toLowerCase();
    let value = forwarded[i + 1] ?? '';
    // The bytes after an upgrade request belong to the new protocol; a length would make them a body to somebody.
    if (lower === 'content-length') continue;
    if (lower === 'sec-websocket-protocol') {
      value = withoutBearer(value);
      if (value === '') continue;
    }
    kept.push(name, value);
  }
  return kept;
}

/**
 * Headers that HTTP/2 has once at most: Node throws for a second one (lib/internal/http2/util.js), which a hostile
 * sandbox must not be able to make it do. HTTP/1.1 clients get them all, as they always did.
 */
const singleInHttp2 = new Set([
  ...[
    'age',
    'authorization',
    'content-encoding',
    'content-language',
    'content-length',
    'content-location',
    'content-md5',
  ],
  ...[
    'content-range',
    'content-type',
    'date',
    'dnt',
    'etag',
    'expires',
    'from',
    'host',
    'if-match',
    'if-modified-since',
  ],
  ...[
    'if-none-match',
    'if-range',
    'if-unmodified-since',
    'last-modified',
    'location',
    'max-forwards',
    'range',
    'referer',
  ],
  ...['retry-after', 'tk', 'upgrade-insecure-requests', 'user-agent', 'x-content-type-options'],
  ...['access-control-allow-credentials', 'access-control-max-age', 'access-control-request-method'],
]);

/**
 * What an answer travels in: `chunked` and `HTTP/2` can have trailers, `plain` cannot (HTTP/1.0, HEAD, 204, 304, the
 * answer to an upgrade request).
 */
export type AnswerForm = 'plain' | 'chunked' | 'HTTP/2';

/**
 * The headers of a sandbox's answer that a client gets.
 * @throws ApiError UpstreamFailed when its body is encoded in a way that forwarding would lose.
 */
export function responseHeaders(rawHeaders: RawHeaders, statusCode: number, form: AnswerForm): string[] {
  const nominated = nominatedBy(rawHeaders);
  const seen = form === 'HTTP/2' ? new Set<string>() : undefined;
  const kept: string[] = [];
  let trailers: string | undefined;
  let chunked = false;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    const value = rawHeaders[i + 1] ?? '';
    const lower = name.toLowerCase();
    if (hopByHop.has(lower)) {
      if (lower === 'transfer-encoding') {
        if (!isChunked(value)) throw badCoding();
        chunked = true;
      } else if (lower === 'trailer') {
        trailers = trailers === undefined ? value : `${trailers}, ${value}`;
      }
      continue;
    }
    if (isOfConnection(lower, nominated) || lower === 'x-agentcube-session-id') continue;
    // RFC 9110 §8.6 and §15.3.6: neither has content, whatever the sandbox announces.
    if ((statusCode === 204 || statusCode === 205) && lower === 'content-length') continue;
    if (seen !== undefined && isSecond(lower, seen)) continue;
    kept.push(name, value);
  }
  if (trailers !== undefined && chunked && form !== 'plain') kept.push('Trailer', trailers);
  return kept;
}

/** The headers of an interim answer (RFC 9110 §15.2) that a client gets; none of them can be about a body. */
export function interimHeaders(rawHeaders: RawHeaders, form: AnswerForm): string[] {
  const fields = responseHeaders(rawHeaders, 103, form);
  return fields.some((name, i) => i % 2 === 0 && isAboutContent(name.toLowerCase()))
    ? fields.filter((_, i) => !isAboutContent((fields[i - (i % 2)] ?? '').toLowerCase()))
    : fields;
}

/** Whether a field describes the content (RFC 9110 §8). */
export function isAboutContent(lower: string): boolean {
  return lower.startsWith('content-');
}

/** Whether a field that HTTP/2 has once at most was seen before; takes note of it. */
export function isSecond(lower: string, seen: Set<string>): boolean {
  if (!singleInHttp2.has(lower)) return false;
  if (seen.has(lower)) return true;
  seen.add(lower);
  return false;
}

/** The names that `Connection` headers declare to be of this connection only; undefined when there are none. */
export function nominatedBy(rawHeaders: RawHeaders): Set<string> | undefined {
  let names: Set<string> | undefined;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() !== 'connection') continue;
    names ??= new Set();
    for (const token of (rawHeaders[i + 1] ?? '').split(',')) names.add(token.trim().toLowerCase());
  }
  return names;
}

/** Whether a field is of this connection only, by its name or because `Connection` nominates it. */
export function isOfConnection(lower: string, nominated: Set<string> | undefined): boolean {
  return lower.startsWith('proxy-') || nominated?.has(lower) === true;
}

/**
 * What a client must not tell a sandbox: its own credential, headers that look like somebody vouched for them, and where
 * it comes from.
 */
export function isPrivate(lower: string): boolean {
  // The first letter decides for nearly all headers of nearly all requests.
  switch (lower.charAt(0)) {
    case 'a':
      return lower === 'authorization';
    case 'f':
      return lower === 'forwarded';
    case 'i':
      return lower.startsWith('impersonate-');
    case 's':
      return lower.startsWith('sojourn-');
    case 'x':
      return lower.startsWith('x-remote-') || lower.startsWith('x-forwarded-') || lower === 'x-real-ip';
    // HTTP/2's pseudo headers.
    case ':':
      return true;
    default:
      return false;
  }
}

/**
 * Any other transfer coding is taken off by nobody on our way and would be lost with its header (RFC 9112 §6.1); Go's
 * net/http and nginx know only this one as well.
 */
function isChunked(value: string): boolean {
  return value === 'chunked' || value.trim().toLowerCase() === 'chunked';
}

function unknownCoding(): ApiError {
  const message = 'a request may have no Transfer-Encoding but chunked; use Content-Encoding for a compressed body';
  return new ApiError('BadRequest', message, { code: 501 });
}

function badCoding(): ApiError {
  return new ApiError(
    'UpstreamFailed',
    'the sandbox answered with a Transfer-Encoding that HTTP/1.1 clients do not know',
  );
}

function withoutBearer(protocols: string): string {
  return protocols
    .split(',')
    .map((protocol) => protocol.trim())
    .filter((protocol) => !protocol.startsWith(bearerProtocol))
    .join(', ');
}
