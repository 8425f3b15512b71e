import { hash, randomUUID } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { KubeClient } from '../../apis/client/transport.ts';
import { ApiError } from '../../apis/machinery/errors.ts';
import type { Caller } from './caller.ts';
import { FairQueue, type FairQueueOptions } from './fair-queue.ts';
import type { ReviewCounter } from './metrics.ts';
import { reviewFailed } from './review-failure.ts';
import type { UserInfo } from './user.ts';

const path = '/apis/authentication.k8s.io/v1/tokenreviews';
const timeoutMs = 10_000;
/** How long an accepted token is not reviewed again, from the answer on: with the time of a review at most 10 s. */
const acceptedMs = 9_000;
/** Short, because a token that was refused a moment ago may belong to an account that is being created. */
const refusedMs = 2_000;
const largestCache = 8192;
/** How long a token that was accepted is not one of a stranger's. */
const familiarMs = 3_600_000;
/**
 * Tokens that were never accepted are reviewed a few at a time: whoever floods us with made-up ones, or kube-apiserver with
 * reviews through us, must not keep known users from theirs.
 */
const strangers: FairQueueOptions = {
  ...{ mostAtOnce: 16, mostWaitingOfSource: 256, mostWaiting: 4096 },
  refusal: 'too many unknown tokens are being checked; try again',
};

interface TokenReview {
  status?: {
    authenticated?: boolean;
    audiences?: string[];
    user?: { username?: string; uid?: string; groups?: string[]; extra?: Record<string, string[]> };
  };
}

export interface TokenAuthenticatorOptions {
  client: KubeClient;
  /** Names that tokens may be made for besides kube-apiserver's own. */
  audiences?: readonly string[];
  counter?: ReviewCounter;
}

/** Whose token it is, and whether kube-apiserver would take it too. */
interface TokenOwner {
  user: UserInfo;
  validFor: 'kube-apiserver' | 'us';
}

interface Verdict {
  caller: Caller | undefined;
}

/** A token, and where it came from. */
interface Shown {
  token: string;
  source: string;
}

/** Turns bearer tokens into callers by kube-apiserver's TokenReview; verdicts are kept for seconds. */
export class TokenAuthenticator {
  readonly #client: KubeClient;
  readonly #audiences: readonly string[];
  /** What kube-apiserver calls itself in tokens (`--api-audiences`), as far as its reviews have told. */
  readonly #native = new Set<string>();
  readonly #counter: ReviewCounter | undefined;
  readonly #verdicts: LRUCache<string, Verdict, Shown>;
  readonly #familiar = new LRUCache<string, true>({ max: largestCache, ttl: familiarMs });
  readonly #strangers = new FairQueue(strangers);

  constructor({ client, audiences = [], counter }: TokenAuthenticatorOptions) {
    this.#client = client;
    this.#counter = counter;
    this.#audiences = audiences;
    this.#verdicts = new LRUCache<string, Verdict, Shown>({
      max: largestCache,
      ttl: acceptedMs,
      ignoreFetchAbort: true,
      fetchMethod: async (key, _stale, { options, context: { token, source } }) => {
        const ask = () => this.#ownerOf(token);
        const owner = this.#familiar.has(key) ? await ask() : await this.#strangers.run(source, ask);
        if (owner === undefined) {
          options.ttl = refusedMs;
          this.#familiar.delete(key);
        } else this.#familiar.set(key, true);
        return { caller: owner === undefined ? undefined : callerOf(owner, token) };
      },
    });
  }

  /**
   * Who a token was given to.
   * @param source where it came from: an IP address.
   * @throws ApiError Unauthorized; TooManyRequests when too many unknown ones come from there; ServiceUnavailable or
   * InternalError when nobody could be asked.
   */
  async authenticate(token: string, source: string): Promise<Caller> {
    // Keys are hashes, so that neither a dump of the keys nor a comparison of them in constant time is of concern.
    const key = hash('sha256', token, 'base64');
    const known = this.#verdicts.get(key);
    if (known === undefined) this.#counter?.miss();
    else this.#counter?.hit();
    const verdict = known ?? (await this.#verdicts.fetch(key, { context: { token, source } }));
    if (verdict?.caller === undefined) throw unauthorized();
    return verdict.caller;
  }

  async #ownerOf(token: string): Promise<TokenOwner | undefined> {
    const user = await this.#nativeUser(token);
    if (user !== undefined) return { user, validFor: 'kube-apiserver' };
    if (this.#audiences.length === 0) return undefined;
    const dedicated = await this.#reviewAnew(token, this.#audiences);
    // A reviewer that knows no audiences says yes without any (authentication.k8s.io/v1, TokenReviewStatus.audiences).
    if (!this.#audiences.some((audience) => dedicated?.audiences?.includes(audience))) return undefined;
    const guest = userOf(dedicated);
    return guest === undefined ? undefined : { user: guest, validFor: 'us' };
  }

  /** Who a token for kube-apiserver itself was given to. A yes from its memory counts for what its audiences are alone. */
  async #nativeUser(token: string): Promise<UserInfo | undefined> {
    if (this.#native.size > 0) {
      const user = userOf(await this.#reviewAnew(token, [...this.#native]));
      if (user !== undefined) return user;
    }
    const remembered = await this.#review({ token });
    const user = userOf(remembered);
    const audiences = remembered?.audiences ?? [];
    if (user === undefined || audiences.length === 0) return user;
    const isNews = audiences.some((audience) => !this.#native.has(audience));
    if (!isNews) return undefined;
    for (const audience of audiences) this.#native.add(audience);
    return userOf(await this.#reviewAnew(token, audiences));
  }

  /**
   * A review that kube-apiserver does not answer from memory. It remembers an accepted token for 10 s
   * (pkg/kubeapiserver/options/authentication.go, TokenSuccessCacheTTL), and what a webhook says for 2 min, by the token and
   * the audiences asked for (apiserver/pkg/authentication/token/cache/cached_token_authenticator.go, keyFunc): one that
   * nobody has ever asked for makes it look. A token for one of the others is accepted all the same.
   */
  async #reviewAnew(token: string, audiences: readonly string[]): Promise<TokenReview['status']> {
    return await this.#review({ token, audiences: [...audiences, `sojourn-review-${randomUUID()}`] });
  }

  async #review(spec: { token: string; audiences?: readonly string[] }): Promise<TokenReview['status']> {
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec };
    try {
      const review = await this.#client.request<TokenReview>({ method: 'POST', path, body, timeoutMs });
      return review.status;
    } catch (error) {
      throw reviewFailed('the bearer token could not be checked', error);
    }
  }
}

function userOf(status: TokenReview['status']): UserInfo | undefined {
  const { authenticated, user } = status ?? {};
  if (authenticated !== true || user?.username === undefined || user.username === '') return undefined;
  return {
    username: user.username,
    groups: user.groups ?? [],
    ...(user.uid === undefined || user.uid === '' ? {} : { uid: user.uid }),
    ...(user.extra === undefined ? {} : { extra: user.extra }),
  };
}

function callerOf({ user, validFor }: TokenOwner, token: string): Caller {
  return { user, credential: validFor === 'kube-apiserver' ? { kind: 'token', token } : { kind: 'asserted' } };
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

/** The 401 of a request that nobody vouches for. */
export function unauthorized(): ApiError {
  return new ApiError('Unauthorized', 'Unauthorized');
}
