import { type CryptoKey, decodeProtectedHeader, errors, type JWTPayload, jwtVerify, SignJWT } from 'jose';
import { ApiError } from '../machinery/errors.ts';

/** Longest life of an invocation token in seconds. */
export const tokenLifetimeSeconds = 300;
/** How far the clocks of a signer and a daemon may differ, in seconds. */
export const clockSkewSeconds = 5;
const issuer = 'sojourn.dev';
const algorithm = 'ES256';

/** Who a token speaks for and where it may go. */
export interface TokenSubject {
  /** uid of the Session. */
  sessionUid: string;
  namespace: string;
  /** Name of the Sandbox, which is the Session's. */
  sandbox: string;
  /** uid of the Pod. A token is for one Pod: the next one of its name may belong to somebody else. */
  podUid: string;
  user: { username: string; uid?: string | undefined };
}

/** What a daemon reads from a verified token. */
export interface TokenClaims {
  sessionUid: string;
  username: string;
  userUid: string | undefined;
  /** End of its life, seconds since the epoch. */
  expiresAt: number;
}

export interface SigningKey {
  kid: string;
  privateKey: CryptoKey;
}

/** Audience of the tokens of one Pod of a sandbox. */
export function audienceOf({
  namespace,
  sandbox,
  podUid,
}: Pick<TokenSubject, 'namespace' | 'sandbox' | 'podUid'>): string {
  return `${namespace}/${sandbox}/${podUid}`;
}

/** Signs an invocation token (RFC 7519) that lives for {@link tokenLifetimeSeconds}. */
export async function signToken(subject: TokenSubject, key: SigningKey, now: Date): Promise<string> {
  const issuedAt = Math.floor(now.getTime() / 1000);
  return await new SignJWT({ user: { name: subject.user.username, uid: subject.user.uid } })
    .setProtectedHeader({ alg: algorithm, typ: 'JWT', kid: key.kid })
    .setIssuer(issuer)
    .setSubject(subject.sessionUid)
    .setAudience(audienceOf(subject))
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + tokenLifetimeSeconds)
    .sign(key.privateKey);
}

/** Key id in a token's header, before anything about the token has been verified. */
function keyIdOf(token: string): string | undefined {
  try {
    return decodeProtectedHeader(token).kid;
  } catch (error) {
    if (error instanceof TypeError || error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}

/**
 * Verifies signature, algorithm, issuer, audience and life of a token.
 * @throws ApiError Unauthorized, UnknownKey, TokenExpired or WrongSession (it is for another sandbox).
 */
export async function verifyToken(
  token: string,
  keys: ReadonlyMap<string, CryptoKey>,
  audience: string,
): Promise<TokenClaims> {
  const kid = keyIdOf(token);
  if (kid === undefined)
    throw new ApiError('Unauthorized', 'the token is not a JSON Web Token with a key id; get a new one');
  const key = keys.get(kid);
  if (key === undefined)
    throw new ApiError('UnknownKey', 'the token is signed by a key this sandbox does not know; push the key set');
  let payload: JWTPayload;
  try {
    ({ payload } = await jwtVerify(token, key, {
      algorithms: [algorithm],
      issuer,
      audience,
      clockTolerance: clockSkewSeconds,
      requiredClaims: ['sub', 'exp', 'iat'],
      maxTokenAge: tokenLifetimeSeconds + clockSkewSeconds,
    }));
  } catch (error) {
    throw rejected(error);
  }
  const user = payload.user as { name?: unknown; uid?: unknown } | undefined;
  if (typeof user?.name !== 'string') throw new ApiError('Unauthorized', 'the token names no user; get a new one');
  const { exp = 0, iat = 0 } = payload;
  if (exp - iat > tokenLifetimeSeconds) {
    throw new ApiError('Unauthorized', `the token may live for ${tokenLifetimeSeconds} seconds at most; get a new one`);
  }
  return {
    sessionUid: payload.sub ?? '',
    username: user.name,
    userUid: typeof user.uid === 'string' ? user.uid : undefined,
    expiresAt: exp,
  };
}

function rejected(error: unknown): ApiError {
  if (error instanceof errors.JWTExpired) {
    return new ApiError('TokenExpired', 'the token has expired; get a new one', { cause: error });
  }
  if (error instanceof errors.JWTClaimValidationFailed && error.claim === 'aud') {
    return new ApiError('WrongSession', 'the token is for another sandbox', { cause: error });
  }
  return new ApiError('Unauthorized', 'the token is not valid here; get a new one', { cause: error });
}
