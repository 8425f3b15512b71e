import { Listeners } from '../../apis/client/listeners.ts';
import { Reflector } from '../../apis/client/reflector.ts';
import { Slices } from '../../apis/client/slices.ts';
import type { KubeClient } from '../../apis/client/transport.ts';
import { keyOf } from '../../apis/machinery/meta.ts';
import { sandboxApi, sessionSelector } from '../../apis/names.ts';
import type { Log } from '../../apis/runtime/log.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { SessionTransition, TransitionSource } from '../../proxy/invocation/endings/chronicle.ts';
import { type SessionRecord, toSessionRecord } from '../../proxy/invocation/session-record.ts';
import { EventLog } from './event-log.ts';
import { HistoryBridge } from './history-bridge.ts';
import type { Scope } from './scope.ts';
import { SecondHand } from './second-hand.ts';
import { type ChangeType, SessionEvent } from './session-event.ts';
import { SharedValues } from './shared-values.ts';
import { SortedKeys } from './sorted-keys.ts';
import { WatcherIndex } from './watcher-index.ts';

/** Receives the events of its scope on the tick on which they happen. */
export interface SessionSubscriber {
  event(event: SessionEvent): void;
  /** The watch must end; its client goes on from its last resourceVersion. */
  end(): void;
}

/** All sessions, from one reflector on session-bearing Sandboxes, with the last events. Feeds every watch and invocation. */
export class SessionCache implements TransitionSource {
  /** What all watches share to be called once a minute. */
  readonly secondHand = new SecondHand();
  #records = new Map<string, SessionRecord>();
  readonly #keys = new SortedKeys();
  readonly #shared = new SharedValues();
  readonly #reflector: Reflector<Sandbox, SessionRecord>;
  readonly #log: Log;
  readonly #events = new EventLog();
  readonly #bridge: HistoryBridge;
  readonly #watchers = new WatcherIndex<SessionSubscriber>();
  readonly #changeListeners: Listeners<[key: string]>;
  readonly #transitionListeners: Listeners<[SessionTransition]>;
  #resourceVersion = 0n;

  constructor(client: KubeClient, log: Log) {
    this.#log = log;
    this.#changeListeners = new Listeners(log);
    this.#transitionListeners = new Listeners(log);
    const path = `${sandboxApi.path}/${sandboxApi.resource}`;
    this.#bridge = new HistoryBridge({
      client,
      log,
      path,
      events: this.#events,
      project: (item) => this.#read(item).session,
    });
    this.#reflector = new Reflector<Sandbox, SessionRecord>({
      client,
      path,
      labelSelector: sessionSelector,
      log,
      keep: (item) => this.#read(item),
      sink: {
        replaced: (records, resourceVersion) => this.#replace(records, BigInt(resourceVersion)),
        changed: ({ type, object }) => this.#change(type, object),
        bookmarked: (resourceVersion) => this.#bookmark(BigInt(resourceVersion)),
      },
    });
  }

  get synced(): boolean {
    return this.#reflector.synced;
  }

  /** Everything up to this resourceVersion is in the cache, and has been told to every watch. */
  get resourceVersion(): bigint {
    return this.#resourceVersion;
  }

  start(): void {
    this.#reflector.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#reflector.stop(), this.#bridge.stop()]);
    this.endWatches();
  }

  /** Ends every watch cleanly; its client goes on elsewhere from its last resourceVersion. */
  endWatches(): void {
    if (this.#watchers.size > 0) this.#log.info('ending watches', { watches: this.#watchers.size });
    for (const watcher of this.#watchers.all()) watcher.end();
  }

  get(namespace: string, name: string): SessionRecord | undefined {
    return this.#records.get(`${namespace}/${name}`);
  }

  /** The sessions of a scope in the order of their keys, as etcd would list them. */
  list({ namespace, name }: Scope): Session[] {
    if (namespace !== undefined && name !== undefined) {
      const record = this.get(namespace, name);
      return record === undefined ? [] : [record.session];
    }
    const found: Session[] = [];
    for (const key of this.#keys.of(namespace)) {
      const session = this.#records.get(key)?.session;
      if (session !== undefined && (name === undefined || session.metadata.name === name)) found.push(session);
    }
    return found;
  }

  /** Events after a resourceVersion; undefined when those that are remembered do not reach back that far. */
  eventsSince(resourceVersion: bigint, scope: Scope): SessionEvent[] | undefined {
    return this.#events.since(resourceVersion, scope);
  }

  /**
   * Fetches older events from kube-apiserver, so that {@link eventsSince} reaches back to a resourceVersion.
   * @throws ApiError Expired when kube-apiserver does not remember them either, ServiceUnavailable when it does not answer.
   */
  async reachBack(resourceVersion: bigint): Promise<void> {
    await this.#bridge.reach(resourceVersion);
  }

  subscribe(scope: Scope, subscriber: SessionSubscriber): () => void {
    return this.#watchers.add(scope, subscriber);
  }

  /** Calls a listener with `namespace/name` of every session that changed, after the cache has it. */
  onChange(listener: (key: string) => void): () => void {
    return this.#changeListeners.add(listener);
  }

  onTransition(listener: (transition: SessionTransition) => void): () => void {
    return this.#transitionListeners.add(listener);
  }

  /** What is known of a Sandbox already is not read again. */
  #read(sandbox: Sandbox): SessionRecord {
    const { namespace = '', name = '', uid, resourceVersion } = sandbox.metadata;
    const known = this.get(namespace, name);
    const isKnown = known?.session.metadata.resourceVersion === resourceVersion && known?.sandboxUid === uid;
    if (known !== undefined && isKnown) return known;
    const record = toSessionRecord(sandbox);
    return { ...record, session: this.#shared.share(record.session) };
  }

  async #replace(records: readonly SessionRecord[], resourceVersion: bigint): Promise<void> {
    const before = this.#records;
    this.#records = new Map(records.map((record) => [keyOf(record.session), record]));
    this.#keys.replace(this.#records.keys());
    this.#events.reset(resourceVersion);
    this.#resourceVersion = resourceVersion;
    // Deletions of the time between have no event and no version: whoever goes on asks kube-apiserver for them.
    this.endWatches();
    const slices = new Slices();
    for (const key of new Set([...before.keys(), ...this.#records.keys()])) {
      const previous = before.get(key);
      if (previous !== this.#records.get(key)) this.#announce(key, previous);
      if (slices.spent) await slices.rest();
    }
  }

  #change(type: ChangeType, sandbox: Sandbox): void {
    const key = keyOf(sandbox);
    const record = this.#read(sandbox);
    const previous = this.#records.get(key);
    if (type === 'DELETED') {
      this.#records.delete(key);
      this.#keys.delete(key);
    } else {
      this.#records.set(key, record);
      if (previous === undefined) this.#keys.add(key);
    }
    const event = new SessionEvent(type, { previous: previous?.session, current: record.session });
    this.#resourceVersion = event.resourceVersion;
    this.#events.append(event);
    this.#watchers.visit(event.current, (watcher) => watcher.event(event));
    this.#announce(key, previous);
  }

  #bookmark(resourceVersion: bigint): void {
    this.#resourceVersion = resourceVersion;
    this.#events.trim();
  }

  #announce(key: string, previous: SessionRecord | undefined): void {
    this.#changeListeners.tell(key);
    if (this.synced) this.#transitionListeners.tell({ previous, current: this.#records.get(key) });
  }
}
