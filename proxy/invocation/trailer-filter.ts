import type { ClientRequest } from '../../apis/runtime/listener.ts';
import {
  type AnswerForm,
  hopByHop,
  isAboutContent,
  isOfConnection,
  isPrivate,
  isSecond,
  nominatedBy,
  type RawHeaders,
} from './header-filter.ts';

/** Fields that must not come after the body, where nobody expects them (RFC 9110 §6.5.1). */
const neverTrailers = new Set([
  ...['age', 'cache-control', 'expires', 'date', 'location', 'retry-after', 'vary', 'warning', 'pragma'],
  ...['authorization', 'www-authenticate', 'set-cookie', 'cookie', 'host', 'range', 'max-forwards'],
  'x-agentcube-session-id',
]);

/** The trailers of a sandbox's answer that a client gets. */
export function answerTrailers(rawTrailers: RawHeaders, form: AnswerForm): string[] {
  const seen = form === 'HTTP/2' ? new Set<string>() : undefined;
  return trailersFrom(rawTrailers, (lower) => seen === undefined || !isSecond(lower, seen));
}

/**
 * What a request announces to send after its body; undefined when that is nothing, or its length is known, which leaves no
 * place for trailers in HTTP/1.1 (RFC 9112 §7.1.2).
 */
export function announcedTrailers({ headers, rawHeaders }: ClientRequest): string | undefined {
  if (headers.trailer === undefined || headers['content-length'] !== undefined) return undefined;
  const nominated = nominatedBy(rawHeaders);
  const names = String(headers.trailer).split(',');
  const kept = names.map((name) => name.trim()).filter((name) => isForSandbox(name.toLowerCase(), nominated));
  return kept.length === 0 ? undefined : kept.join(', ');
}

/** The trailers of a client's request that a sandbox gets, as far as they have come. */
export function requestTrailers({ rawHeaders, rawTrailers }: ClientRequest): string[] {
  const nominated = nominatedBy(rawHeaders);
  return trailersFrom(rawTrailers, (lower) => isForSandbox(lower, nominated));
}

function isForSandbox(lower: string, nominated: Set<string> | undefined): boolean {
  return isTrailer(lower) && !isPrivate(lower) && nominated?.has(lower) !== true;
}

function trailersFrom(raw: RawHeaders, isWanted: (lower: string) => boolean): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? '';
    const lower = name.toLowerCase();
    if (isTrailer(lower) && isWanted(lower)) kept.push(name, raw[i + 1] ?? '');
  }
  return kept;
}

function isTrailer(lower: string): boolean {
  if (lower === '' || hopByHop.has(lower) || neverTrailers.has(lower)) return false;
  return !isAboutContent(lower) && !isOfConnection(lower, undefined);
}
