import { LRUCache } from 'lru-cache';
import type { Dispatcher } from 'undici';
import { ApiError } from '../../apis/machinery/errors.ts';
import { keySetMediaType, keySetRoute } from '../../apis/wire/daemon.ts';
import type { SignedKeySet } from './keys/key-ring.ts';
import type { CredentialMetrics } from './token-metrics.ts';
import { upstreamError } from './upstream-error.ts';

const timeoutMs = 5_000;
const largestCache = 50_000;

/** The daemon of a session, which has to know our signing keys before it can verify a token. */
export interface KeyPushTarget {
  podUid: string;
  /** `scheme://host:port` of the daemon. */
  origin: string;
}

interface Pushed {
  version: number;
  done: Promise<void>;
}

/** Hands the current key set to each daemon once, before the first call that a process forwards to it. */
export class KeyPusher {
  readonly #dispatcher: Dispatcher;
  readonly #metrics: CredentialMetrics;
  readonly #pushed = new LRUCache<string, Pushed>({ max: largestCache });

  constructor({ dispatcher, metrics }: { dispatcher: Dispatcher; metrics: CredentialMetrics }) {
    this.#dispatcher = dispatcher;
    this.#metrics = metrics;
  }

  /**
   * Resolves when the daemon has this set or a later one. Calls at the same time share one push.
   * @throws ApiError UpstreamFailed or UpstreamTimeout when the daemon does not answer, KeyNotReady when it refuses.
   */
  async ensure(target: KeyPushTarget, keySet: SignedKeySet): Promise<void> {
    const known = this.#pushed.get(target.podUid);
    if (known !== undefined && known.version >= keySet.version) return await known.done;
    const pushed: Pushed = { version: keySet.version, done: this.#push(target, keySet.jws) };
    this.#pushed.set(target.podUid, pushed);
    try {
      await pushed.done;
    } catch (error) {
      this.#drop(target.podUid, pushed);
      throw error;
    }
  }

  /** Forgets what a daemon was given: it says that it does not know the keys, so it was restarted in its Pod. */
  forget(podUid: string): void {
    this.#pushed.delete(podUid);
  }

  #drop(podUid: string, pushed: Pushed): void {
    if (this.#pushed.peek(podUid) === pushed) this.#pushed.delete(podUid);
  }

  async #push({ origin }: KeyPushTarget, jws: string): Promise<void> {
    // One deadline for all of it: a sandbox that answers byte by byte must not hold up every call of its session.
    const deadline = AbortSignal.timeout(timeoutMs);
    let statusCode: number;
    try {
      const response = await this.#dispatcher.request({
        origin,
        path: keySetRoute,
        method: 'PUT',
        headers: { 'content-type': keySetMediaType },
        body: jws,
        signal: deadline,
      });
      await response.body.dump();
      statusCode = response.statusCode;
    } catch (error) {
      this.#metrics.keysPushed('failed');
      if (!deadline.aborted) throw upstreamError(error);
      throw new ApiError('UpstreamTimeout', 'the sandbox did not take the signing keys in time; try again', {
        cause: error,
      });
    }
    // 409: the daemon has a later set, which still knows every key that is in use.
    if (statusCode < 300) return this.#metrics.keysPushed('accepted');
    if (statusCode === 409) return this.#metrics.keysPushed('outdated');
    this.#metrics.keysPushed('refused');
    throw new ApiError('KeyNotReady', `the sandbox refused the signing keys (HTTP status ${statusCode}); try again`, {
      retryAfterSeconds: 1,
    });
  }
}
