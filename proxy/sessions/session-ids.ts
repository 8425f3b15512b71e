import { LRUCache } from 'lru-cache';
import { ApiError } from '../../apis/machinery/errors.ts';
import type { SessionRecord } from '../invocation/session-record.ts';
import type { SessionInformer } from '../session-source.ts';

/** How long a session that another replica has created may take to reach our watch. */
const waitMs = 1_000;
/** How long an absent id is taken for absent without waiting again. */
const absentMs = 1_000;
const largestCache = 10_000;
/** Ids that one user may wait for at once; more of them is no accident of timing, and is nobody else's trouble. */
const mostWaitingOfUser = 100;
/** Ids that all may wait for at once: some MB. */
const mostWaiting = 10_000;

/** Who asks for an id. */
export interface Asker {
  username: string;
  /** Whether they may know of a session that is there; one that is kept from them is absent, and takes as long. */
  admits: (record: SessionRecord) => Promise<boolean>;
}

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
  /** How many of the waits each user began. */
  readonly #waitsOf = new Map<string, number>();
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
   * The session of an id as soon as it is known; undefined when it is not within a second, or is kept from who asks.
   * @throws ApiError TooManyRequests for who waits for too many; ServiceUnavailable when nothing can be said about the id.
   */
  async await(id: string, { username, admits }: Asker): Promise<SessionRecord | undefined> {
    const known = this.find(id);
    if (known === undefined && !this.#sessions.synced) {
      throw busy('the sessions are still being read from kube-apiserver');
    }
    if (known !== undefined && (await admits(known))) return known;
    if (this.#absent.has(id)) return undefined;
    const appeared = await (this.#waits.get(id) ?? this.#wait(id, username)).promise;
    // Who was refused a moment ago is not told more for having waited.
    return known === undefined && appeared !== undefined && (await admits(appeared)) ? appeared : undefined;
  }

  stop(): void {
    this.#unsubscribe();
    for (const { resolve } of this.#waits.values()) resolve(undefined);
  }

  #wait(id: string, username: string): Wait {
    if (this.#waits.size >= mostWaiting) throw busy('too many unknown session ids are being looked for');
    const own = this.#waitsOf.get(username) ?? 0;
    if (own >= mostWaitingOfUser) {
      const message = `at most ${mostWaitingOfUser} unknown session ids are looked for at once for one user; try again`;
      throw new ApiError('TooManyRequests', message, { retryAfterSeconds: 1 });
    }
    this.#waitsOf.set(username, own + 1);
    const { promise, resolve } = Promise.withResolvers<SessionRecord | undefined>();
    const timer = setTimeout(() => {
      this.#absent.set(id, true);
      resolve(undefined);
    }, waitMs);
    const wait = { promise: promise.finally(() => this.#forget(id, username, timer)), resolve };
    this.#waits.set(id, wait);
    return wait;
  }

  #forget(id: string, username: string, timer: NodeJS.Timeout): void {
    clearTimeout(timer);
    this.#waits.delete(id);
    const left = (this.#waitsOf.get(username) ?? 1) - 1;
    if (left === 0) this.#waitsOf.delete(username);
    else this.#waitsOf.set(username, left);
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
