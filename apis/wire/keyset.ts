import { CompactSign, type CryptoKey, compactVerify, errors, importJWK, importSPKI, type JWK } from 'jose';
import { ApiError } from '../machinery/errors.ts';

/**
 * Signing keys reach a daemon as a key set signed by the root key, the only key its Pod starts with. So signing keys
 * rotate freely, and whoever can reach a daemon can push nothing but what the root signed.
 */
export interface KeySet {
  /** Grows with each rotation; a daemon never goes back to a smaller one. */
  version: number;
  keys: ReadonlyMap<string, CryptoKey>;
}

const algorithm = 'ES256';
/** Keeps a key set from ever being taken for an invocation token (RFC 8725 §3.11). */
const type = 'sojourn-keyset+jws';

/** Signs a key set of public JWKs (RFC 7517), each with its `kid`, as a compact JWS. */
export async function signKeySet(version: number, keys: readonly JWK[], root: CryptoKey): Promise<string> {
  const payload = Buffer.from(JSON.stringify({ version, keys: keys.map(publicPart) }));
  return await new CompactSign(payload).setProtectedHeader({ alg: algorithm, typ: type }).sign(root);
}

/**
 * Verifies a pushed key set against the root public key.
 * @throws ApiError Unauthorized when the root did not sign it, BadRequest when its content is not a key set.
 */
export async function verifyKeySet(jws: string, root: CryptoKey): Promise<KeySet> {
  let payload: Uint8Array;
  try {
    const verified = await compactVerify(jws, root, { algorithms: [algorithm] });
    if (verified.protectedHeader.typ !== type) throw new errors.JWSInvalid('not a key set');
    payload = verified.payload;
  } catch (error) {
    if (!(error instanceof errors.JOSEError) && !(error instanceof TypeError)) throw error;
    throw new ApiError('Unauthorized', 'the key set is not signed by the root key of this sandbox', { cause: error });
  }
  const content = JSON.parse(Buffer.from(payload).toString('utf8')) as { version?: unknown; keys?: unknown };
  if (typeof content.version !== 'number' || !Array.isArray(content.keys)) {
    throw new ApiError('BadRequest', 'the key set has no version and keys');
  }
  const keys = new Map<string, CryptoKey>();
  for (const jwk of content.keys as JWK[]) {
    if (typeof jwk.kid === 'string') keys.set(jwk.kid, (await importJWK(jwk, algorithm)) as CryptoKey);
  }
  return { version: content.version, keys };
}

/** Reads the root public key as {@link import('./daemon.ts').daemonEnv.rootKey} carries it. */
export async function importRootKey(base64Der: string): Promise<CryptoKey> {
  return await importSPKI(`-----BEGIN PUBLIC KEY-----\n${base64Der}\n-----END PUBLIC KEY-----`, algorithm);
}

function publicPart({ kty, crv, x, y, kid }: JWK): JWK {
  return { kty, crv, x, y, kid, alg: algorithm, use: 'sig' } as JWK;
}
