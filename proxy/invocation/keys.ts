import type { KubeClient } from '../../apis/client/transport.ts';
import { ApiError } from '../../apis/machinery/errors.ts';
import { secrets } from '../../apis/names.ts';
import type { Log } from '../../apis/runtime/log.ts';
import type { Probe } from '../../apis/runtime/operations.ts';
import { signKeySet } from '../../apis/wire/keyset.ts';
import type { SigningKey } from '../../apis/wire/token.ts';
import {
  newRootSecret,
  newSigningSecret,
  type RootKey,
  readRootSecret,
  readSigningSecret,
  type SigningKeys,
} from './key-secrets.ts';
import { SecretWatch } from './secret-watch.ts';

/** The signing keys as a daemon gets them: a compact JWS by the root key. */
export interface SignedKeySet {
  version: number;
  jws: string;
}

export interface KeyRingOptions {
  client: KubeClient;
  /** Where the two Secrets are. */
  namespace: string;
  log: Log;
  /** Milliseconds since the epoch. */
  now: () => number;
}

interface Loaded {
  root: RootKey;
  signing: SigningKeys;
  keySet: SignedKeySet;
}

/**
 * The root key and the signing keys, from their two Secrets. Whichever replica is first creates them; all of them follow
 * every later change without a restart. A Secret that disappears or becomes unreadable leaves the last good keys in use:
 * Pods that trust them are still running.
 */
export class KeyRing {
  readonly #options: KeyRingOptions;
  readonly #root: SecretWatch<RootKey>;
  readonly #signing: SecretWatch<SigningKeys>;
  #loaded: Loaded | undefined;
  #refreshing: Promise<void> = Promise.resolve();

  constructor(options: KeyRingOptions) {
    this.#options = options;
    const { client, namespace, log, now } = options;
    // One after the other, so that an old set never replaces a newer one.
    const onChange = () => {
      this.#refreshing = this.#refreshing.then(() => this.#refresh());
    };
    this.#root = new SecretWatch({
      client,
      namespace,
      log,
      onChange,
      name: secrets.rootKey,
      create: newRootSecret,
      read: readRootSecret,
    });
    this.#signing = new SecretWatch({
      client,
      namespace,
      log,
      onChange,
      name: secrets.signingKeys,
      create: () => newSigningSecret(now()),
      read: readSigningSecret,
    });
  }

  get probe(): Probe {
    return {
      name: 'signing-keys',
      check: () => {
        if (this.#loaded !== undefined) return undefined;
        return this.#root.problem ?? this.#signing.problem ?? 'the key set is being signed';
      },
    };
  }

  start(): void {
    this.#root.start();
    this.#signing.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#root.stop(), this.#signing.stop()]);
    await this.#refreshing;
  }

  /**
   * Root public key as {@link import('../../apis/wire/daemon.ts').daemonEnv.rootKey} carries it.
   * @throws ApiError ServiceUnavailable until the keys are loaded, as the other two.
   */
  rootPublicKey(): string {
    return this.#require().root.publicKey;
  }

  /** The key that tokens are signed with now: of those whose time has come, the youngest. */
  currentKey(): SigningKey {
    const { keys } = this.#require().signing;
    const now = this.#options.now();
    return keys.findLast((key) => key.notBefore <= now) ?? keys[0];
  }

  keySet(): SignedKeySet {
    return this.#require().keySet;
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
    if (root === undefined || signing === undefined) return;
    if (this.#loaded?.root === root && this.#loaded.signing === signing) return;
    const publicKeys = signing.keys.map((key) => key.publicJwk);
    const jws = await signKeySet(signing.version, publicKeys, root.privateKey);
    this.#loaded = { root, signing, keySet: { version: signing.version, jws } };
    const kids = signing.keys.map((key) => key.kid);
    this.#options.log.info('signing keys loaded', { version: signing.version, kids });
  }
}
