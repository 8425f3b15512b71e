import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { KubeClient } from '../../apis/client/transport.ts';
import { ApiError } from '../../apis/machinery/errors.ts';
import { reviewFailed } from './review-failure.ts';
import type { UserInfo } from './user.ts';

const path = '/apis/authentication.k8s.io/v1/tokenreviews';
const timeoutMs = 10_000;
/** A revoked token stops working within this time. */
const acceptedMs = 10_000;
/** Short, because a token that was refused a moment ago may belong to an account that is being created. */
const refusedMs = 2_000;
const largestCache = 8192;

interface TokenReview {
  status?: {
    authenticated?: boolean;
    user?: { username?: string; uid?: string; groups?: string[]; extra?: Record<string, string[]> };
  };
}

/** Turns bearer tokens into users by kube-apiserver's TokenReview; verdicts are kept for seconds, tokens never. */
export class TokenAuthenticator {
  readonly #client: KubeClient;
  readonly #verdicts: LRUCache<string, { user: UserInfo | undefined }, string>;

  constructor(client: KubeClient) {
    this.#client = client;
    this.#verdicts = new LRUCache<string, { user: UserInfo | undefined }, string>({
      max: largestCache,
      ttl: acceptedMs,
      ignoreFetchAbort: true,
      fetchMethod: async (_key, _stale, { options, context: token }) => {
        const user = await this.#review(token);
        options.ttl = user === undefined ? refusedMs : acceptedMs;
        return { user };
      },
    });
  }

  /**
   * The user whose token a request carries.
   * @param rawHeaders pairs of name and value, as both HTTP versions of Node have them.
   * @throws ApiError Unauthorized; ServiceUnavailable or InternalError when nobody could be asked.
   */
  async authenticate(rawHeaders: readonly string[]): Promise<UserInfo> {
    const token = bearerToken(rawHeaders);
    if (token === undefined) throw unauthorized();
    // The cache must not be a store of credentials, so it knows tokens by their hash alone.
    const key = createHash('sha256').update(token).digest('base64');
    const verdict = this.#verdicts.get(key) ?? (await this.#verdicts.fetch(key, { context: token }));
    if (verdict?.user === undefined) throw unauthorized();
    return verdict.user;
  }

  async #review(token: string): Promise<UserInfo | undefined> {
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } };
    let review: TokenReview;
    try {
      review = await this.#client.request<TokenReview>({ method: 'POST', path, body, timeoutMs });
    } catch (error) {
      throw reviewFailed('the bearer token could not be checked', error);
    }
    const { authenticated, user } = review.status ?? {};
    if (authenticated !== true || user?.username === undefined || user.username === '') return undefined;
    return {
      username: user.username,
      groups: user.groups ?? [],
      ...(user.uid === undefined || user.uid === '' ? {} : { uid: user.uid }),
      ...(user.extra === undefined ? {} : { extra: user.extra }),
    };
  }
}

/**
 * The token of `Authorization: Bearer TOKEN` (RFC 6750 §2.1); undefined when there is none, another scheme or more
 * than one header: of two credentials nobody could say which one was meant.
 */
export function bearerToken(rawHeaders: readonly string[]): string | undefined {
  let found: string | undefined;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() !== 'authorization') continue;
    if (found !== undefined) return undefined;
    found = rawHeaders[i + 1] ?? '';
  }
  return /^Bearer +([^\s]+)$/i.exec(found ?? '')?.[1];
}

function unauthorized(): ApiError {
  return new ApiError('Unauthorized', 'Unauthorized');
}
