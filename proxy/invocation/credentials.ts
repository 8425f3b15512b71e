import type { Dispatcher } from 'undici';
import { ApiError } from '../../apis/machinery/errors.ts';
import { daemonPort } from '../../apis/wire/daemon.ts';
import { signPicodToken } from '../../apis/wire/picod.ts';
import { signToken } from '../../apis/wire/token.ts';
import { originOf } from './addresses.ts';
import type { Location } from './directory.ts';
import { KeyPusher } from './key-push.ts';
import type { KeyRing } from './keys/key-ring.ts';
import { recordOf, type SandboxSource } from './sandbox-source.ts';
import type { CredentialMetrics } from './token-metrics.ts';
import { TokenCache, type TokenSigner, type TokenUser } from './tokens.ts';

export interface CredentialsOptions {
  keys: KeyRing;
  sandboxes: SandboxSource;
  dispatcher: Dispatcher;
  metrics: CredentialMetrics;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/** What a sandbox is shown of who calls: a token that the program in it can verify. */
export class Credentials {
  readonly #keys: KeyRing;
  readonly #tokens: TokenCache;
  readonly #pusher: KeyPusher;
  readonly #sandboxes: SandboxSource;
  /** uid of the session that tokens were last signed for, by `namespace/name`. */
  readonly #sessions = new Map<string, string>();
  readonly #unsubscribe: () => void;

  constructor({ keys, sandboxes, dispatcher, metrics, now }: CredentialsOptions) {
    this.#keys = keys;
    this.#sandboxes = sandboxes;
    this.#tokens = new TokenCache({ now, metrics });
    this.#pusher = new KeyPusher({ dispatcher, metrics });
    this.#unsubscribe = sandboxes.onChange((key) => this.#sessionChanged(key));
  }

  stop(): void {
    this.#unsubscribe();
  }

  /**
   * The Authorization header for a session's sandbox; undefined when its runtime verifies nothing. A daemon has been given
   * the key by then.
   * @throws ApiError KeyNotReady, UpstreamFailed, UpstreamTimeout, ServiceUnavailable; SessionFailed when the session says
   * nothing of tokens.
   */
  async authorization(location: Location, user: TokenUser): Promise<string | undefined> {
    const { record, podUid } = location;
    if (record.authMode === 'none') return undefined;
    const signer = await this.#signer(location);
    const { uid = '', namespace = '', name = '' } = record.session.metadata;
    this.#sessions.set(`${namespace}/${name}`, uid);
    return `Bearer ${await this.#tokens.get({ uid, namespace, name, podUid }, user, signer)}`;
  }

  /** The key and the kind of token that a session's program accepts. */
  async #signer({ record, podUid, address }: Location): Promise<TokenSigner> {
    if (record.authMode === 'picod') return { key: this.#keys.forPicod(record.trustAnchor), sign: signPicodToken };
    if (record.authMode === undefined) {
      throw new ApiError(
        'SessionFailed',
        'the stored session does not say how its sandbox knows callers; create another',
      );
    }
    // Both at once: a key that became current while the set was on its way would not be in that set.
    const { key, keySet } = this.#keys.forDaemon(record.trustAnchor);
    const { endpoints } = record.session.status ?? {};
    // The daemon listens on the port of the first endpoint; see apis/v1alpha1/pod-template.ts.
    const origin = originOf(address, endpoints?.[0] ?? { port: daemonPort, protocol: 'HTTP' });
    await this.#pusher.ensure({ podUid, origin }, keySet);
    return { key, sign: signToken };
  }

  /** A daemon said that it does not know the key of a token: the next call gives it the keys again. */
  keyRefused(podUid: string): void {
    this.#pusher.forget(podUid);
  }

  #sessionChanged(key: string): void {
    const uid = this.#sessions.get(key);
    if (uid === undefined) return;
    const current = recordOf(this.#sandboxes, key);
    if (current?.session.metadata.uid === uid) return;
    this.#sessions.delete(key);
    this.#tokens.dropSession(uid);
  }
}
