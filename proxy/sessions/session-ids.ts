import { LRUCache } from 'lru-cache';
import { ApiError } from '../../apis/machinery/errors.ts';
import type { SessionRecord } from '../invocation/session-record.ts';
import type { SessionInformer } from '../session-source.ts';

/** How long a session that another replica has created may take to reach our watch. */
const waitMs = 1_000;
/** How long an absent id is taken for absent without waiting again. */
const absentMs = 1_000;
const largestCache = 10_000;
/** Ids that may be waited for at once; more of them is no accident of timing. */
const mostWaiting = 1_000;

interface Wait {
  promise: Promise<SessionRecord | undefined>;
  resolve: (record: SessionRecord | undefined) => void;
}

/**
 * Sessions by their uid, which is the session id of AgentCube's clients. kube-apiserver cannot be asked for a uid, and
 * reading all Sandboxes for each wrong id would be a weapon; so an unknown id is only waited for, for a moment.
 */
export class SessionIds {
  readonly #sessions: SessionInformer;
  readonly #waits = new Map<string, Wait>();
  readonly #absent = new LRUCache<string, true>({ max: largestCache, ttl: absentMs });
  readonly #unsubscribe: () => void;

  constructor(sessions: SessionInformer) {
    this.#sessions = sessions;
    this.#unsubscribe = sessions.onChange((key) => this.#onChange(key));
  }

  /** The session of an id, if it is known now. */
  find(id: string): SessionRecord | undefined {
    return this.#sessions.getByUid(id);
  }

  /**
   * The session of an id as soon as it is known; undefined when it is not within a second.
   * @throws ApiError ServiceUnavailable when nothing can be said about the id.
   */
  async await(id: string): Promise<SessionRecord | undefined> {
    const known = this.find(id);
    if (known !== undefined) return known;
    if (!this.#sessions.synced) throw busy('the sessions are still being read from kube-apiserver');
    if (this.#absent.has(id)) return undefined;
    return await (this.#waits.get(id) ?? this.#wait(id)).promise;
  }

  stop(): void {
    this.#unsubscribe();
    for (const { resolve } of this.#waits.values()) resolve(undefined);
  }

  #wait(id: string): Wait {
    if (this.#waits.size >= mostWaiting) throw busy('too many unknown session ids are being looked for');
    const { promise, resolve } = Promise.withResolvers<SessionRecord | undefined>();
    const timer = setTimeout(() => {
      this.#absent.set(id, true);
      resolve(undefined);
    }, waitMs);
    const wait = { promise: promise.finally(() => this.#forget(id, timer)), resolve };
    this.#waits.set(id, wait);
    return wait;
  }

  #forget(id: string, timer: NodeJS.Timeout): void {
    clearTimeout(timer);
    this.#waits.delete(id);
  }

  #onChange(key: string): void {
    if (this.#waits.size === 0) return;
    const [namespace = '', name = ''] = key.split('/');
    const record = this.#sessions.get(namespace, name);
    const id = record?.session.metadata.uid;
    if (id !== undefined) this.#waits.get(id)?.resolve(record);
  }
}

function busy(sentence: string): ApiError {
  return new ApiError('ServiceUnavailable', `${sentence}; try again`, { retryAfterSeconds: 1 });
}
