import type { ClientRequest } from '../../apis/runtime/listener.ts';

/** Headers as undici takes and Node sends them: name, value, name, value; case and duplicates as they came. */
export type RawHeaders = readonly string[];

/** Headers of one connection (RFC 9110 §7.6.1), never forwarded in either direction. `Expect` is ours to answer. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'http2-settings',
]);

/** What a client must not tell a sandbox: its own credential, and headers that look like somebody vouched for them. */
const ownIdentity = ['x-remote-', 'impersonate-', 'sojourn-'];
/** Prefix of a WebSocket subprotocol that carries a bearer token (k8s.io/apiserver, request/websocket/protocol.go). */
const bearerProtocol = 'base64url.bearer.authorization.k8s.io.';

/** The headers of a client that a sandbox gets. */
export function requestHeaders(request: ClientRequest, authorization: string | undefined): string[] {
  const { rawHeaders } = request;
  const nominated = nominatedBy(rawHeaders);
  const kept: string[] = [];
  let cookies = -1;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    const value = rawHeaders[i + 1] ?? '';
    const lower = name.toLowerCase();
    if (isHopByHop(lower, nominated) || isPrivate(lower)) continue;
    if (lower === 'cookie' && cookies !== -1) {
      // HTTP/2 clients may split the cookies; HTTP/1 servers expect one header (RFC 9113 §8.2.3).
      kept[cookies] += `; ${value}`;
      continue;
    }
    kept.push(name, value);
    if (lower === 'cookie') cookies = kept.length - 1;
  }
  if (authorization !== undefined) kept.push('authorization', authorization);
  return kept;
}

/** The headers of an upgrade request that a sandbox gets: {@link requestHeaders}, without a body's and with the upgrade. */
export function upgradeHeaders(request: ClientRequest, host: string, authorization: string | undefined): string[] {
  const forwarded = requestHeaders(request, authorization);
  const kept = ['Host', host, 'Connection', 'Upgrade', 'Upgrade', String(request.headers.upgrade ?? '')];
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

/** The headers of a sandbox's answer that a client gets. */
export function responseHeaders(rawHeaders: RawHeaders, statusCode: number, client: 'HTTP/1.1' | 'HTTP/2'): string[] {
  const nominated = nominatedBy(rawHeaders);
  const seen = new Set<string>();
  const kept: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    const lower = name.toLowerCase();
    if (isHopByHop(lower, nominated) || lower === 'x-agentcube-session-id') continue;
    // RFC 9110 §8.6 and §15.3.6: neither has content, whatever the sandbox announces.
    if ((statusCode === 204 || statusCode === 205) && lower === 'content-length') continue;
    if (client === 'HTTP/2' && singleInHttp2.has(lower)) {
      if (seen.has(lower)) continue;
      seen.add(lower);
    }
    kept.push(name, rawHeaders[i + 1] ?? '');
  }
  return kept;
}

/** The names that `Connection` headers declare to be of this connection only; undefined when there are none. */
function nominatedBy(rawHeaders: RawHeaders): Set<string> | undefined {
  let names: Set<string> | undefined;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() !== 'connection') continue;
    names ??= new Set();
    for (const token of (rawHeaders[i + 1] ?? '').split(',')) names.add(token.trim().toLowerCase());
  }
  return names;
}

function isHopByHop(lower: string, nominated: Set<string> | undefined): boolean {
  return hopByHop.has(lower) || lower.startsWith('proxy-') || nominated?.has(lower) === true;
}

function isPrivate(lower: string): boolean {
  // Names with a colon are HTTP/2's pseudo headers. Host becomes the sandbox's own.
  if (lower === 'authorization' || lower === 'host' || lower.startsWith(':')) return true;
  return ownIdentity.some((prefix) => lower.startsWith(prefix));
}

function withoutBearer(protocols: string): string {
  return protocols
    .split(',')
    .map((protocol) => protocol.trim())
    .filter((protocol) => !protocol.startsWith(bearerProtocol))
    .join(', ');
}
