import { createHash } from 'node:crypto';
import type { Middleware } from 'koa';
import { LRUCache } from 'lru-cache';
import { ApiError } from '../../apis/machinery/errors.ts';
import { audienceOf, type TokenClaims, tokenLifetimeSeconds, verifyToken } from '../../apis/wire/token.ts';
import { detailed } from '../http/errors.ts';
import type { KeyRing } from './key-ring.ts';

/** More tokens than one session's users have at a time: a process signs one per user and reuses it. */
const maxRememberedTokens = 256;

/**
 * Decides whether a bearer may use this sandbox. The first session that shows a valid token has the sandbox for good:
 * a sandbox serves one session, and nothing of it may reach another one.
 */
export class Authenticator {
  readonly #keys: KeyRing;
  readonly #audience: string;
  /** Verified tokens by SHA-256, so that a memory dump of the cache holds none. */
  readonly #verified = new LRUCache<string, TokenClaims>({ max: maxRememberedTokens, ttlResolution: 0 });
  #verifiedWith = 0;
  #session: string | undefined;

  constructor(keys: KeyRing, pod: { namespace: string; sandbox: string; podUid: string }) {
    this.#keys = keys;
    this.#audience = audienceOf(pod);
  }

  /**
   * Who sends this Authorization header.
   * @throws ApiError Unauthorized, UnknownKey or TokenExpired (401), WrongSession (403).
   */
  async authenticate(authorization: string | undefined): Promise<TokenClaims> {
    const claims = await this.#verify(bearerToken(authorization));
    this.#session ??= claims.sessionUid;
    if (claims.sessionUid !== this.#session) {
      throw new ApiError('WrongSession', 'this sandbox serves another session; use the sandbox of your own session');
    }
    return claims;
  }

  async #verify(token: string): Promise<TokenClaims> {
    this.#forgetWithdrawnKeys();
    const digest = createHash('sha256').update(token).digest('base64');
    const known = this.#verified.get(digest);
    if (known !== undefined) return known;
    const version = this.#keys.version;
    try {
      const claims = await verifyToken(token, this.#keys.keys, this.#audience);
      const remainingMs = Math.min(Math.floor(claims.expiresAt * 1000 - Date.now()), tokenLifetimeSeconds * 1000);
      // A key set may have arrived meanwhile that withdraws the key this token was verified with.
      if (remainingMs > 0 && version === this.#keys.version) this.#verified.set(digest, claims, { ttl: remainingMs });
      return claims;
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 401) throw error;
      throw detailed(error.reason, 'Invalid token', error.message, { cause: error.cause });
    }
  }

  /** A new key set may withdraw a key; what that key signed must not live on here. */
  #forgetWithdrawnKeys(): void {
    if (this.#verifiedWith === this.#keys.version) return;
    this.#verifiedWith = this.#keys.version;
    this.#verified.clear();
  }
}

/** The token of an Authorization header (RFC 6750 §2.1), in PicoD's words when there is none. */
function bearerToken(authorization: string | undefined): string {
  if (authorization === undefined || authorization === '') {
    throw detailed('Unauthorized', 'Missing Authorization header', 'send "Authorization: Bearer TOKEN"');
  }
  const token = /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(authorization)?.[1];
  if (token === undefined) {
    throw detailed('Unauthorized', 'Invalid Authorization header format', 'send "Authorization: Bearer TOKEN"');
  }
  return token;
}

/** Lets only authenticated requests pass, before anything of their bodies is read. */
export function requireToken(authenticator: Authenticator): Middleware {
  return async (ctx, next) => {
    await authenticator.authenticate(ctx.req.headers.authorization);
    await next();
  };
}
