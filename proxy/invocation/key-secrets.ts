import { createPrivateKey, createPublicKey, generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import { type CryptoKey, calculateJwkThumbprint, exportJWK, importJWK, importPKCS8, type JWK } from 'jose';
import type { KubeObject } from '../../apis/machinery/meta.ts';
import { formatTime, parseTime } from '../../apis/machinery/time.ts';
import { secrets } from '../../apis/names.ts';
import type { SigningKey } from '../../apis/wire/token.ts';

/** A core/v1 Secret; the values of `data` are base64. */
export interface Secret extends KubeObject {
  type?: string;
  data?: Record<string, string>;
}

/** The key that signs key sets and that every Pod trusts from its start. */
export interface RootKey {
  privateKey: CryptoKey;
  /** SPKI as base64 of DER, in one line. */
  publicKey: string;
}

/** The keys that sign tokens, as one version of the Secret holds them. */
export interface SigningKeys {
  version: number;
  /** At least one, the one with the earliest start first. */
  keys: [StoredKey, ...StoredKey[]];
}

export interface StoredKey extends SigningKey {
  publicJwk: JWK;
  /** From when on tokens are signed with it, milliseconds since the epoch: before that, daemons only learn it. */
  notBefore: number;
}

const algorithm = 'ES256';
const rootField = 'private.pem';
const rootPublicField = 'public.pem';
const keysField = 'keys.json';

const generate = promisify(generateKeyPair);

/** A Secret with a new root key. The public half is there for people; only the private one is read back. */
export async function newRootSecret(): Promise<Secret> {
  const { privateKey, publicKey } = await generate('ec', { namedCurve: 'P-256' });
  return secretOf(secrets.rootKey, {
    [rootField]: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    [rootPublicField]: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  });
}

/** A Secret with a first signing key, current from now on. */
export async function newSigningSecret(now: number): Promise<Secret> {
  const { privateKey } = await generate('ec', { namedCurve: 'P-256' });
  const jwk = await exportJWK(privateKey);
  const kid = await calculateJwkThumbprint(jwk);
  const document = { version: 1, keys: [{ kid, notBefore: formatTime(now), privateJwk: jwk }] };
  return secretOf(secrets.signingKeys, { [keysField]: JSON.stringify(document) });
}

/** @throws Error that says what is wrong with the Secret, without any of its content. */
export async function readRootSecret(secret: Secret): Promise<RootKey> {
  const pem = field(secret, rootField);
  try {
    const publicKey = createPublicKey(createPrivateKey(pem)).export({ type: 'spki', format: 'der' });
    return { privateKey: await importPKCS8(pem, algorithm), publicKey: publicKey.toString('base64') };
  } catch {
    // The cause is withheld: parsers like to quote what they could not parse, and that is a private key.
    throw new Error(`its field ${rootField} is not an unencrypted P-256 private key in PKCS #8 PEM`);
  }
}

/** @throws Error that says what is wrong with the Secret, without any of its content. */
export async function readSigningSecret(secret: Secret): Promise<SigningKeys> {
  const { version, keys } = parseKeys(field(secret, keysField));
  if (typeof version !== 'number' || !Number.isSafeInteger(version) || version < 1) {
    throw new Error(`${keysField} has no version, a whole number from 1`);
  }
  const stored = await Promise.all((Array.isArray(keys) ? keys : []).map(readKey));
  const [first, ...others] = stored.sort((a, b) => a.notBefore - b.notBefore);
  if (first === undefined) throw new Error(`${keysField} has no keys`);
  return { version, keys: [first, ...others] };
}

function parseKeys(text: string): { version?: unknown; keys?: unknown } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // As above: the message of a SyntaxError quotes the text.
    throw new Error(`its field ${keysField} is not JSON`);
  }
  if (typeof value !== 'object' || value === null) throw new Error(`its field ${keysField} is not a JSON object`);
  return value;
}

async function readKey(value: unknown, index: number): Promise<StoredKey> {
  const { kid, notBefore, privateJwk } = (value ?? {}) as { kid?: unknown; notBefore?: unknown; privateJwk?: JWK };
  const since = parseTime(notBefore);
  if (typeof kid !== 'string' || kid === '') throw new Error(`key ${index} of ${keysField} has no kid`);
  if (since === undefined) throw new Error(`key ${index} of ${keysField} has no notBefore, an RFC 3339 time`);
  try {
    const { kty, crv, x, y } = privateJwk ?? {};
    const privateKey = (await importJWK(privateJwk ?? {}, algorithm)) as CryptoKey;
    if (privateKey.type !== 'private') throw new TypeError('a public key');
    return { kid, privateKey, publicJwk: { kty, crv, x, y, kid } as JWK, notBefore: since };
  } catch {
    throw new Error(`key ${index} of ${keysField} has no privateJwk for ES256`);
  }
}

function field(secret: Secret, name: string): string {
  const value = secret.data?.[name];
  if (value === undefined) throw new Error(`it has no field ${name}`);
  return Buffer.from(value, 'base64').toString('utf8');
}

function secretOf(name: string, fields: Record<string, string>): Secret {
  const data = Object.entries(fields).map(([key, text]) => [key, Buffer.from(text).toString('base64')] as const);
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name },
    type: 'Opaque',
    data: Object.fromEntries(data),
  };
}
