import type { Dispatcher } from 'undici';
import { ApiError } from '../../apis/machinery/errors.ts';
import { daemonPort } from '../../apis/wire/daemon.ts';
import { originOf } from './addresses.ts';
import type { Location, SandboxSource } from './directory.ts';
import { KeyPusher } from './key-push.ts';
import type { KeyRing } from './keys.ts';
import { TokenCache, type TokenUser } from './tokens.ts';

export interface CredentialsOptions {
  keys: KeyRing;
  sandboxes: SandboxSource;
  dispatcher: Dispatcher;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/** What a sandbox is shown of who calls: a token that its daemon can verify. */
export class Credentials {
  readonly #keys: KeyRing;
  readonly #tokens: TokenCache;
  readonly #pusher: KeyPusher;
  readonly #sandboxes: SandboxSource;
  /** uid of the session that tokens were last signed for, by `namespace/name`. */
  readonly #sessions = new Map<string, string>();
  readonly #unsubscribe: () => void;

  constructor({ keys, sandboxes, dispatcher, now }: CredentialsOptions) {
    this.#keys = keys;
    this.#sandboxes = sandboxes;
    this.#tokens = new TokenCache({ currentKey: () => keys.currentKey(), now });
    this.#pusher = new KeyPusher(dispatcher);
    this.#unsubscribe = sandboxes.onChange((key) => this.#sessionChanged(key));
  }

  stop(): void {
    this.#unsubscribe();
  }

  /**
   * The Authorization header for a session's sandbox; undefined when its runtime verifies nothing. The daemon has been
   * given the key by then.
   * @throws ApiError KeyNotReady, UpstreamFailed, UpstreamTimeout, ServiceUnavailable; SessionFailed when the runtime
   * asks for what is not served.
   */
  async authorization(location: Location, user: TokenUser): Promise<string | undefined> {
    const { record, podUid, address } = location;
    if (record.authMode === 'none') return undefined;
    if (record.authMode !== 'sojourn') {
      throw new ApiError(
        'SessionFailed',
        `the session's runtime has authMode ${record.authMode ?? 'unknown'}, which is not served here; ` +
          'set authMode to sojourn or none in the runtime and create a new session',
      );
    }
    const { endpoints } = record.session.status ?? {};
    // The daemon listens on the port of the first endpoint; see apis/v1alpha1/pod-template.ts.
    const origin = originOf(address, endpoints?.[0] ?? { port: daemonPort, protocol: 'HTTP' });
    await this.#pusher.ensure({ podUid, origin }, this.#keys.keySet());
    const { uid = '', namespace = '', name = '' } = record.session.metadata;
    this.#sessions.set(`${namespace}/${name}`, uid);
    return `Bearer ${await this.#tokens.get({ uid, namespace, name, podUid }, user)}`;
  }

  /** A daemon said that it does not know the key of a token: the next call gives it the keys again. */
  keyRefused(podUid: string): void {
    this.#pusher.forget(podUid);
  }

  #sessionChanged(key: string): void {
    const uid = this.#sessions.get(key);
    if (uid === undefined) return;
    const slash = key.indexOf('/');
    const current = this.#sandboxes.get(key.slice(0, slash), key.slice(slash + 1));
    if (current?.session.metadata.uid === uid) return;
    this.#sessions.delete(key);
    this.#tokens.dropSession(uid);
  }
}
