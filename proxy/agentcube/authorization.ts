import { ApiError, hasReason } from '../../apis/machinery/errors.ts';
import type { ClientRequest } from '../../apis/runtime/listener.ts';
import type { Access } from '../access/access.ts';
import type { Caller } from '../access/caller.ts';

/** What AgentCube says about an Authorization header that it does not take. */
export interface AuthorizationSentences {
  missing: string;
  malformed: string;
  empty: string;
  refused: string;
}

/**
 * Authenticates a call of AgentCube's clients. Their Python SDK 0.1.0 sends no token to the Router at all; what it can be
 * made to send from outside is HTTP Basic (user and password in ROUTER_URL, or a netrc file). So on AgentCube's paths the
 * password of `Basic` counts as the bearer token, as it does at GitHub's or a registry's; the user name is ignored.
 * @throws ApiError Unauthorized in AgentCube's words, and whatever else authentication throws.
 */
export async function authenticate(
  access: Pick<Access, 'authenticate'>,
  request: ClientRequest,
  sentences: AuthorizationSentences,
): Promise<Caller> {
  const { socket, rawHeaders } = request;
  const stream = 'stream' in request ? { stream: request.stream } : {};
  try {
    return await access.authenticate({ socket, ...stream, rawHeaders: basicAsBearer(rawHeaders) });
  } catch (error) {
    if (!hasReason(error, 'Unauthorized')) throw error;
    throw new ApiError('Unauthorized', sentences[problemOf(rawHeaders)], { cause: error });
  }
}

/** The same headers with every `Basic` credential replaced by its password as a bearer token. */
export function basicAsBearer(rawHeaders: readonly string[]): readonly string[] {
  let replaced: string[] | undefined;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() !== 'authorization') continue;
    const encoded = /^Basic +([A-Za-z0-9+/]+=*) *$/i.exec(rawHeaders[i + 1] ?? '')?.[1];
    if (encoded === undefined) continue;
    const pair = Buffer.from(encoded, 'base64').toString('latin1');
    replaced ??= [...rawHeaders];
    replaced[i + 1] = `Bearer ${pair.slice(pair.indexOf(':') + 1)}`;
  }
  return replaced ?? rawHeaders;
}

function problemOf(rawHeaders: readonly string[]): keyof AuthorizationSentences {
  const values = basicAsBearer(rawHeaders).filter(
    (_value, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === 'authorization',
  );
  if (values.length === 0) return 'missing';
  const value = values[0] ?? '';
  if (values.length > 1 || !/^Bearer( |$)/i.test(value)) return 'malformed';
  return value.slice('Bearer'.length).trim() === '' ? 'empty' : 'refused';
}
