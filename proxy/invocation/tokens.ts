import { LRUCache } from 'lru-cache';
import { type SigningKey, type TokenSubject, tokenLifetimeSeconds } from '../../apis/wire/token.ts';
import type { CredentialMetrics } from './token-metrics.ts';

/** A cached token has at least a fifth of its life before it, so that it never runs out on its way. */
const cachedMs = tokenLifetimeSeconds * 1000 * 0.8;
const largestCache = 50_000;

export interface TokenUser {
  username: string;
  uid?: string | undefined;
}

/** The session that a token is for, by its Sandbox. */
export interface TokenSession {
  uid: string;
  namespace: string;
  name: string;
  podUid: string;
}

/** How tokens of one kind are made now. */
export interface TokenSigner {
  key: SigningKey;
  sign: (subject: TokenSubject, key: SigningKey, now: Date) => Promise<string>;
}

interface Request {
  session: TokenSession;
  user: TokenUser;
  signer: TokenSigner;
}

export interface TokenCacheOptions {
  /** Milliseconds since the epoch. */
  now: () => number;
  metrics: CredentialMetrics;
}

/** Invocation tokens, signed once per session, Pod, user and key and used again for most of their life. */
export class TokenCache {
  readonly #options: TokenCacheOptions;
  readonly #tokens: LRUCache<string, string, Request>;
  /** Cache keys by session uid, so that a session's tokens go with it. */
  readonly #bySession = new Map<string, Set<string>>();

  constructor(options: TokenCacheOptions) {
    this.#options = options;
    this.#tokens = new LRUCache<string, string, Request>({
      max: largestCache,
      ttl: cachedMs,
      // By the clock that tokens are dated with, so that one that is set forward does not leave us with expired tokens.
      perf: { now: options.now },
      ttlResolution: 0,
      ignoreFetchAbort: true,
      fetchMethod: async (_key, _stale, { context: { session, user, signer } }) =>
        await signer.sign(
          {
            sessionUid: session.uid,
            namespace: session.namespace,
            sandbox: session.name,
            podUid: session.podUid,
            user,
          },
          signer.key,
          new Date(options.now()),
        ),
      dispose: (_token, key) => this.#forget(key),
    });
  }

  /** A token for a session in the name of a user; many calls at once wait for one signature. */
  async get(session: TokenSession, user: TokenUser, signer: TokenSigner): Promise<string> {
    // The user's name comes last and its uid with its length: nothing that they hold can make two keys the same.
    const userUid = user.uid === undefined ? '-' : `${user.uid.length} ${user.uid}`;
    const cacheKey = `${session.uid} ${session.podUid} ${signer.key.kid} ${userUid} ${user.username}`;
    const cached = this.#tokens.get(cacheKey);
    this.#options.metrics.tokenRequested(cached === undefined ? 'miss' : 'hit');
    if (cached !== undefined) return cached;
    const token = await this.#tokens.fetch(cacheKey, { context: { session, user, signer } });
    if (token === undefined) throw new Error('the token cache gave no token');
    this.#remember(session.uid, cacheKey);
    return token;
  }

  /** Drops the tokens of a session that is gone. */
  dropSession(uid: string): void {
    for (const key of this.#bySession.get(uid) ?? []) this.#tokens.delete(key);
  }

  #remember(uid: string, key: string): void {
    const keys = this.#bySession.get(uid);
    if (keys === undefined) this.#bySession.set(uid, new Set([key]));
    else keys.add(key);
  }

  #forget(key: string): void {
    const uid = key.slice(0, key.indexOf(' '));
    const keys = this.#bySession.get(uid);
    keys?.delete(key);
    if (keys?.size === 0) this.#bySession.delete(uid);
  }
}
