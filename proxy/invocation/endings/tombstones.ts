import { LRUCache } from 'lru-cache';
import type { KubeClient } from '../../../apis/client/transport.ts';
import type { ApiError } from '../../../apis/machinery/errors.ts';
import type { KubeList } from '../../../apis/machinery/meta.ts';
import { parseTime } from '../../../apis/machinery/time.ts';
import { groupVersion, kind } from '../../../apis/names.ts';
import type { Log } from '../../../apis/runtime/log.ts';
import { runtimeKinds, type Session, type SessionSpec } from '../../../apis/v1alpha1/types.ts';
import { isNewer } from '../activity/stored-activity.ts';
import { type Ending, endingReasons, sessionEnded } from './ending.ts';
import { type CoreEvent, endedReason, runtimeOf } from './session-event.ts';

/** How long the end of a session is remembered that this process has seen, and one that it was told of. */
const seenMs = 10 * 60_000;
const toldMs = 60_000;
/** How long a session of which no end is known is not looked for again. */
const absentMs = 5_000;
const largestCache = 10_000;
/** Names and uids of sessions; nothing else goes into a field selector. */
const plainText = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
/** A list of Events reads all those of a namespace, so wrong names must not cause many. */
const mostLists = 4;
const listsPerSecond = 10;
const mostListsSaved = 50;
const mostEvents = 100;
/** Of the text of an Event, which anybody may have written and which is kept: kube-apiserver sets no limit. */
const longestText = 1_024;
const requestTimeoutMs = 5_000;
/** Of one list: anybody who may create Events can make them as large as kube-apiserver takes them. */
const largestListBytes = 4 * 1024 * 1024;
/** Of the name of a runtime, and of the uid of a session. */
const longestName = 253;

export type Certainty = 'certain' | 'guessed';

interface Tombstone extends Ending {
  name: string;
  uid: string;
  runtime: SessionSpec['runtimeRef'] | undefined;
  /** Whether whoever ended it said so, or it follows from the session; else others may know more. */
  certainty: Certainty;
}

/** A session that nobody has: by its name, or by its uid and the runtime it must be of. */
export type EndedKey = { name: string } | { uid: string; runtimeRef: SessionSpec['runtimeRef'] };

export interface EndedSessionsOptions {
  client: KubeClient;
  log: Log;
}

/**
 * Why sessions are no more: from memory where this process saw them end, else from the Event each one leaves. Ask only
 * for what the caller may know, and only for sessions that do not exist.
 */
export class EndedSessions {
  readonly #client: KubeClient;
  readonly #log: Log;
  readonly #seen = new LRUCache<string, Tombstone>({ max: 2 * largestCache, ttl: seenMs });
  readonly #told: LRUCache<string, { tombstone: Tombstone | undefined }>;
  #lists = 0;
  #saved = mostListsSaved;
  #savedAt = performance.now();

  constructor({ client, log }: EndedSessionsOptions) {
    this.#client = client;
    this.#log = log;
    this.#told = new LRUCache<string, { tombstone: Tombstone | undefined }>({
      max: largestCache,
      ttl: absentMs,
      ignoreFetchAbort: true,
      fetchMethod: async (key, _stale, { options }) => {
        const tombstone = await this.#list(key);
        if (tombstone !== undefined) options.ttl = toldMs;
        return { tombstone };
      },
    });
  }

  /** This process has seen a session end. */
  remember(session: Session, ending: Ending, certainty: Certainty): void {
    const { namespace = '', name = '', uid = '' } = session.metadata;
    const tombstone = { ...ending, name, uid, runtime: runtimeOf(session), certainty };
    this.#seen.set(`${namespace}/name/${name}`, tombstone);
    this.#seen.set(`${namespace}/uid/${uid}`, tombstone);
  }

  /** Whether this process has seen a session end. */
  saw(namespace: string, key: EndedKey): boolean {
    return answerOf(this.#seen.get(cacheKey(namespace, key)), key) !== undefined;
  }

  /** The 410 of a session that has ended; undefined when nothing is known of one. Asks kube-apiserver, within limits. */
  async find(namespace: string, key: EndedKey): Promise<ApiError | undefined> {
    const seen = this.#seen.get(cacheKey(namespace, key));
    if (seen?.certainty === 'certain' || !plainText.test('name' in key ? key.name : key.uid))
      return answerOf(seen, key);
    try {
      return answerOf((await this.#told.fetch(cacheKey(namespace, key)))?.tombstone ?? seen, key);
    } catch (error) {
      // That a session is not there is known without it.
      this.#log.debug('the end of a session could not be looked for', { namespace, error });
      return answerOf(seen, key);
    }
  }

  /** @throws Error when too much was asked for lately, so that the answer is not taken for one. */
  async #list(key: string): Promise<Tombstone | undefined> {
    this.#take();
    this.#lists += 1;
    try {
      const [namespace = '', field = '', value = ''] = key.split('/');
      const selected = [`involvedObject.kind=${kind}`, `reason=${endedReason}`, `involvedObject.${field}=${value}`];
      const { items } = await this.#read<KubeList<CoreEvent>>({
        path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/events`,
        query: { fieldSelector: selected.join(','), limit: String(mostEvents) },
      });
      // Two sessions of one name may end in the same second; their Events were written one after the other.
      return items
        .sort((a, b) => (isNewer(versionOf(b), versionOf(a)) ? 1 : -1))
        .map(readTombstone)
        .filter((tombstone) => tombstone !== undefined)
        .sort((a, b) => b.at - a.at)[0];
    } finally {
      this.#lists -= 1;
    }
  }

  async #read<T>({ path, query }: { path: string; query: Record<string, string> }): Promise<T> {
    const signal = AbortSignal.timeout(requestTimeoutMs);
    const { body } = await this.#client.stream({ path, query, signal, timeoutMs: requestTimeoutMs });
    const chunks: Buffer[] = [];
    let bytes = 0;
    // Leaving the loop closes the connection, so the rest is not read.
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > largestListBytes) throw new Error('the Events of the ended session are too large to be read');
      chunks.push(chunk);
    }
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as T;
  }

  #take(): void {
    const now = performance.now();
    this.#saved = Math.min(mostListsSaved, this.#saved + ((now - this.#savedAt) / 1000) * listsPerSecond);
    this.#savedAt = now;
    if (this.#lists >= mostLists || this.#saved < 1) throw new Error('too many unknown sessions are being looked for');
    this.#saved -= 1;
  }
}

function cacheKey(namespace: string, key: EndedKey): string {
  return 'name' in key ? `${namespace}/name/${key.name}` : `${namespace}/uid/${key.uid}`;
}

function answerOf(tombstone: Tombstone | undefined, key: EndedKey): ApiError | undefined {
  if (tombstone === undefined) return undefined;
  if ('uid' in key) {
    const { runtime } = tombstone;
    if (runtime?.kind !== key.runtimeRef.kind || runtime.name !== key.runtimeRef.name) return undefined;
  }
  return sessionEnded(tombstone, tombstone);
}

/** Anybody who may create Events can write such a one: it only makes a 410 of a 404. */
function readTombstone({ involvedObject, related, message, firstTimestamp }: CoreEvent): Tombstone | undefined {
  const at = parseTime(firstTimestamp);
  const [, word, text] = /^(\w+): (.*)$/s.exec(message) ?? [];
  const reason = endingReasons.find((candidate) => candidate === word);
  if (involvedObject.apiVersion !== groupVersion || at === undefined || reason === undefined) return undefined;
  const { name = '', uid = '' } = involvedObject;
  const runtimeName = related?.name ?? '';
  if ([name, uid, runtimeName].some((text) => text.length > longestName)) return undefined;
  const runtimeKind = runtimeKinds.find((candidate) => candidate === related?.kind);
  const runtime = runtimeKind === undefined ? undefined : { kind: runtimeKind, name: runtimeName };
  return { reason, message: (text ?? '').slice(0, longestText), at, name, uid, runtime, certainty: 'certain' };
}

function versionOf({ metadata }: CoreEvent): string {
  return metadata.resourceVersion ?? '0';
}
