import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import type { JSONWebKeySet } from 'jose';
import type { KubeClient } from '../../../apis/client/transport.ts';
import { ApiError } from '../../../apis/machinery/errors.ts';
import { secrets } from '../../../apis/names.ts';
import type { Log } from '../../../apis/runtime/log.ts';
import type { Probe } from '../../../apis/runtime/operations.ts';
import { signKeySet } from '../../../apis/wire/keyset.ts';
import type { SigningKey } from '../../../apis/wire/token.ts';
import { type DatedTrustAnchors, fingerprintOf } from '../../../apis/wire/trust-anchor.ts';
import { currentKey, type KeyList, type StoredKey } from './key-list.ts';
import { untilTokensExpire, youngest } from './key-rotation.ts';
import { KeySecret } from './key-secret.ts';

/** The signing keys as a daemon gets them: a compact JWS by the root key that it trusts. */
export interface SignedKeySet {
  version: number;
  jws: string;
}

/** When keys change. */
export interface KeyTimes {
  /** Age at which the signing key gets a successor, milliseconds. */
  rotateAfterMs: number;
  /** How long a new key is known to everybody before it is used, milliseconds. */
  announceMs: number;
}

/** Long enough for every process to hear of a key, and for those who fetch the public keys to fetch them once more. */
export const keyAnnouncementMs = 60_000;

/** Keys that Pods are given at their start are kept this many rotations long: these happen on command only. */
const keptAnchors = 16;

export interface KeyRingOptions {
  client: KubeClient;
  /** Where the Secrets are. */
  namespace: string;
  log: Log;
  /** Milliseconds since the epoch. */
  now: () => number;
  times: KeyTimes;
}

/** Three lists, and what follows from them. */
interface Loaded {
  root: KeyList;
  signing: KeyList;
  picod: KeyList;
  /** By fingerprint of the root public key. */
  keySets: ReadonlyMap<string, SignedKeySet>;
  /** By fingerprint of the public key in PEM. */
  picodKeys: ReadonlyMap<string, SigningKey>;
  published: JSONWebKeySet;
}

/**
 * All keys, from their three Secrets: the roots that sign key sets, the signing keys that sign tokens for our daemon, and
 * those that sign tokens for AgentCube's PicoD. Whichever replica is first creates them; all of them follow every later
 * change without a restart. A Secret that becomes unreadable leaves the last good keys in use: Pods that trust them are
 * still running.
 */
export class KeyRing {
  readonly #options: KeyRingOptions;
  readonly #root: KeySecret;
  readonly #signing: KeySecret;
  readonly #picod: KeySecret;
  /** Encoding a key takes half a millisecond, and every start of a session needs two. */
  readonly #encoded = new WeakMap<StoredKey, string>();
  #loaded: Loaded | undefined;
  #refreshing: Promise<void> = Promise.resolve();
  readonly #anchorListeners = new Set<() => void>();
  /** Until the next anchor that is announced is the current one. */
  #anchorTimer: NodeJS.Timeout | undefined;

  constructor(options: KeyRingOptions) {
    this.#options = options;
    const { client, namespace, log, now, times } = options;
    const { announceMs, rotateAfterMs } = times;
    // One after the other, so that an old set never replaces a newer one.
    const onChange = () => {
      this.#refreshing = this.#refreshing.then(() => this.#refresh());
    };
    const common = { client, namespace, log, now, onChange };
    const anchors = { announceMs, stillNeeded: youngest(keptAnchors) };
    this.#root = new KeySecret({ ...common, name: secrets.rootKey, policy: { ...anchors, algorithm: 'ES256' } });
    this.#picod = new KeySecret({ ...common, name: secrets.picodKeys, policy: { ...anchors, algorithm: 'RS256' } });
    this.#signing = new KeySecret({
      ...common,
      name: secrets.signingKeys,
      policy: { algorithm: 'ES256', announceMs, rotateAfterMs, stillNeeded: untilTokensExpire(announceMs) },
    });
  }

  get probe(): Probe {
    return {
      name: 'signing-keys',
      check: () => {
        if (this.#loaded !== undefined) return undefined;
        return this.#root.problem ?? this.#signing.problem ?? this.#picod.problem ?? 'the key set is being signed';
      },
    };
  }

  start(): void {
    for (const secret of this.#secrets) secret.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#secrets.map((secret) => secret.stop()));
    await this.#refreshing;
    clearTimeout(this.#anchorTimer);
  }

  /** Changes what is due by now; see {@link KeySecret.maintain}. */
  async maintain(): Promise<void> {
    await Promise.all(this.#secrets.map((secret) => secret.maintain()));
  }

  /**
   * What sandboxes that are created now are told to trust.
   * @throws ApiError ServiceUnavailable until the keys are loaded, as all others here.
   */
  trustAnchors(): DatedTrustAnchors {
    const { root, picod } = this.#require();
    const now = this.#options.now();
    const [rootKey, picodKey] = [currentKey(root, now), currentKey(picod, now)];
    return {
      rootKey: this.#anchor(rootKey, rootAnchor),
      rootKeySince: rootKey.notBefore,
      picodKey: this.#anchor(picodKey, picodAnchor),
      picodKeySince: picodKey.notBefore,
    };
  }

  /** Whether the keys are loaded, so that nothing here throws for the lack of them. */
  get loaded(): boolean {
    return this.#loaded !== undefined;
  }

  /** Calls a listener when the {@link trustAnchors} may have changed. */
  onAnchorsChange(listener: () => void): void {
    this.#anchorListeners.add(listener);
  }

  /**
   * The key that tokens for our daemon are signed with now, and the key set by which a daemon learns it.
   * @param anchor fingerprint of the root public key that the daemon trusts.
   * @throws ApiError KeyNotReady when that root is not known.
   */
  forDaemon(anchor: string | undefined): { key: SigningKey; keySet: SignedKeySet } {
    const { signing, keySets } = this.#require();
    const keySet = keySets.get(anchor ?? '');
    if (keySet === undefined) throw unknownAnchor(secrets.rootKey);
    return { key: currentKey(signing, this.#options.now()), keySet };
  }

  /**
   * The one key that a PicoD accepts tokens of.
   * @param anchor fingerprint of the public key that it trusts.
   * @throws ApiError KeyNotReady when that key is not known.
   */
  forPicod(anchor: string | undefined): SigningKey {
    const key = this.#require().picodKeys.get(anchor ?? '');
    if (key === undefined) throw unknownAnchor(secrets.picodKeys);
    return key;
  }

  /** The public keys that tokens may be signed with now or soon, as a JWK Set (RFC 7517 §5). */
  publicKeys(): JSONWebKeySet {
    return this.#require().published;
  }

  get #secrets(): KeySecret[] {
    return [this.#root, this.#signing, this.#picod];
  }

  #require(): Loaded {
    if (this.#loaded !== undefined) return this.#loaded;
    throw new ApiError('ServiceUnavailable', 'the signing keys are not loaded yet; try again', {
      retryAfterSeconds: 1,
    });
  }

  async #refresh(): Promise<void> {
    const root = this.#root.value;
    const signing = this.#signing.value;
    const picod = this.#picod.value;
    if (root === undefined || signing === undefined || picod === undefined) return;
    const { version } = signing;
    const publicJwks = signing.keys.map((key) => key.publicJwk);
    const signSet = async (key: StoredKey) =>
      [
        fingerprintOf(this.#anchor(key, rootAnchor)),
        { version, jws: await signKeySet(version, publicJwks, key.privateKey) },
      ] as const;
    this.#loaded = {
      root,
      signing,
      picod,
      keySets: new Map(await Promise.all(root.keys.map(signSet))),
      picodKeys: new Map(picod.keys.map((key) => [fingerprintOf(this.#anchor(key, picodAnchor)), key] as const)),
      published: { keys: [...signing.keys, ...picod.keys].map((key) => key.publicJwk) },
    };
    const kids = signing.keys.map((key) => key.kid);
    this.#options.log.info('signing keys loaded', { version, kids, roots: root.keys.length });
    this.#announceAnchors();
  }

  #anchor(key: StoredKey, encode: (key: StoredKey) => string): string {
    const known = this.#encoded.get(key);
    if (known !== undefined) return known;
    const anchor = encode(key);
    this.#encoded.set(key, anchor);
    return anchor;
  }

  /** Tells of the anchors now, and again whenever an announced one becomes the current one. */
  #announceAnchors(): void {
    for (const listener of this.#anchorListeners) listener();
    clearTimeout(this.#anchorTimer);
    const { root, picod } = this.#require();
    const now = this.#options.now();
    const coming = [...root.keys, ...picod.keys].map(({ notBefore }) => notBefore - now).filter((ms) => ms > 0);
    if (coming.length === 0) return;
    this.#anchorTimer = setTimeout(() => this.#announceAnchors(), Math.min(...coming) + 1);
    this.#anchorTimer.unref();
  }
}

/** Root public key as {@link import('../../../apis/wire/daemon.ts').daemonEnv.rootKey} carries it. */
function rootAnchor(key: StoredKey): string {
  return publicKeyOf(key).export({ type: 'spki', format: 'der' }).toString('base64');
}

function picodAnchor(key: StoredKey): string {
  return publicKeyOf(key).export({ type: 'spki', format: 'pem' }).toString();
}

function publicKeyOf({ publicJwk }: StoredKey): KeyObject {
  return createPublicKey({ key: publicJwk as JsonWebKey, format: 'jwk' });
}

function unknownAnchor(secret: string): ApiError {
  const message = `the sandbox trusts a key that the Secret ${secret} does not hold; try again, or create a new session`;
  return new ApiError('KeyNotReady', message, { retryAfterSeconds: 1 });
}
