import type { CryptoKey } from 'jose';
import { ApiError } from '../../apis/machinery/errors.ts';
import { type KeySet, verifyKeySet } from '../../apis/wire/keyset.ts';

/** The signing keys that this daemon trusts: the newest key set that the root has signed. */
export class KeyRing {
  readonly #root: CryptoKey;
  #current: KeySet = { version: 0, keys: new Map() };

  constructor(root: CryptoKey) {
    this.#root = root;
  }

  get keys(): ReadonlyMap<string, CryptoKey> {
    return this.#current.keys;
  }

  /** Version of the current key set; 0 before the first one. */
  get version(): number {
    return this.#current.version;
  }

  /**
   * Takes a pushed key set. The current version again changes nothing, so that two processes may push at once.
   * @throws ApiError Unauthorized when the root did not sign it, Conflict when it is older than the current one:
   *   replaying an old set must not bring back a key that was withdrawn.
   */
  async accept(jws: string): Promise<void> {
    const pushed = await verifyKeySet(jws, this.#root);
    if (pushed.version < this.#current.version) {
      throw new ApiError(
        'Conflict',
        `this sandbox already has key set version ${this.#current.version}; push that one or a newer one`,
      );
    }
    if (pushed.version > this.#current.version) this.#current = pushed;
  }
}
