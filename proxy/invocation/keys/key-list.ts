import { createPublicKey, generateKeyPair, type JsonWebKey } from 'node:crypto';
import { promisify } from 'node:util';
import { type CryptoKey, calculateJwkThumbprint, exportJWK, importJWK, type JWK } from 'jose';
import type { KubeObject } from '../../../apis/machinery/meta.ts';
import { parseTime } from '../../../apis/machinery/time.ts';
import type { SigningKey } from '../../../apis/wire/token.ts';

/** A core/v1 Secret; the values of `data` are base64. */
export interface Secret extends KubeObject {
  type?: string;
  data?: Record<string, string>;
}

/** ES256 on P-256, or RS256 with 2048 bits (RFC 7518 §3.1). */
export type KeyAlgorithm = 'ES256' | 'RS256';

/** One key pair of a {@link KeyList}. */
export interface StoredKey extends SigningKey {
  /** From when on it is used, milliseconds since the epoch: before that, others only learn it. */
  notBefore: number;
  privateJwk: JWK;
  /** With `kid`, `alg` and `use`. */
  publicJwk: JWK;
}

/** The keys of one kind that are in use, as one version of their Secret holds them. */
export interface KeyList {
  /** Grows with every change. */
  version: number;
  /** At least one, the one with the earliest start first. */
  keys: readonly [StoredKey, ...StoredKey[]];
}

const keysField = 'keys.json';
const generate = promisify(generateKeyPair);

/** The key that is used now: of those whose time has come, the youngest. */
export function currentKey({ keys }: KeyList, now: number): StoredKey {
  return keys.findLast((key) => key.notBefore <= now) ?? keys[0];
}

/** A new key, used from a time on. Its kid is its thumbprint (RFC 7638). */
export async function newKey(algorithm: KeyAlgorithm, notBefore: number): Promise<StoredKey> {
  const { privateKey } =
    algorithm === 'ES256'
      ? await generate('ec', { namedCurve: 'P-256' })
      : await generate('rsa', { modulusLength: 2048 });
  const privateJwk = await exportJWK(privateKey);
  const kid = await calculateJwkThumbprint(privateJwk);
  return { kid, notBefore, ...(await importPair(privateJwk, kid, algorithm)) };
}

/** Keys in the order of their starts. */
export function ordered(keys: readonly StoredKey[]): StoredKey[] {
  return [...keys].sort((a, b) => a.notBefore - b.notBefore);
}

/** The `data` of a Secret that holds these keys. */
export function keyListData({ version, keys }: KeyList): Record<string, string> {
  const document = {
    version,
    keys: keys.map(({ kid, notBefore, privateJwk }) => ({
      kid,
      notBefore: new Date(notBefore).toISOString(),
      privateJwk,
    })),
  };
  return { [keysField]: Buffer.from(JSON.stringify(document)).toString('base64') };
}

/**
 * The keys in a Secret: `keys.json`, `{version, keys: [{kid, notBefore, privateJwk}]}` with times of RFC 3339 and keys of
 * RFC 7517.
 * @throws Error that says what is wrong with the Secret, without any of its content.
 */
export async function readKeyList(secret: Secret, algorithm: KeyAlgorithm): Promise<KeyList> {
  const { version, keys } = parseDocument(secret);
  if (typeof version !== 'number' || !Number.isSafeInteger(version) || version < 1) {
    throw new Error(`${keysField} has no version, a whole number from 1`);
  }
  const read = (Array.isArray(keys) ? keys : []).map((key, index) => readKey(key, index, algorithm));
  const [first, ...others] = ordered(await Promise.all(read));
  if (first === undefined) throw new Error(`${keysField} has no keys`);
  return { version, keys: [first, ...others] };
}

function parseDocument(secret: Secret): { version?: unknown; keys?: unknown } {
  const field = secret.data?.[keysField];
  if (field === undefined) throw new Error(`it has no field ${keysField}`);
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(field, 'base64').toString('utf8'));
  } catch {
    // The cause is withheld: parsers like to quote what they could not parse, and that is a private key.
    throw new Error(`its field ${keysField} is not JSON`);
  }
  if (typeof value !== 'object' || value === null) throw new Error(`its field ${keysField} is not a JSON object`);
  return value;
}

async function readKey(value: unknown, index: number, algorithm: KeyAlgorithm): Promise<StoredKey> {
  const { kid, notBefore, privateJwk } = (value ?? {}) as { kid?: unknown; notBefore?: unknown; privateJwk?: JWK };
  const since = parseTime(notBefore);
  if (typeof kid !== 'string' || kid === '') throw new Error(`key ${index} of ${keysField} has no kid`);
  if (since === undefined) throw new Error(`key ${index} of ${keysField} has no notBefore, an RFC 3339 time`);
  try {
    return { kid, notBefore: since, ...(await importPair(privateJwk ?? {}, kid, algorithm)) };
  } catch {
    // As above.
    throw new Error(`key ${index} of ${keysField} has no privateJwk for ${algorithm}`);
  }
}

async function importPair(
  privateJwk: JWK,
  kid: string,
  algorithm: KeyAlgorithm,
): Promise<Pick<StoredKey, 'privateKey' | 'privateJwk' | 'publicJwk'>> {
  const privateKey = (await importJWK(privateJwk, algorithm)) as CryptoKey;
  if (privateKey.type !== 'private') throw new TypeError('a public key');
  const publicJwk = createPublicKey({ key: privateJwk as JsonWebKey, format: 'jwk' }).export({ format: 'jwk' });
  return { privateKey, privateJwk, publicJwk: { ...publicJwk, kid, alg: algorithm, use: 'sig' } as JWK };
}
