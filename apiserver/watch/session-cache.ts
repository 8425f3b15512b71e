import { Reflector, type ReflectorSink } from '../../apis/client/reflector.ts';
import type { KubeClient } from '../../apis/client/transport.ts';
import { keyOf } from '../../apis/machinery/meta.ts';
import { sandboxApi, sessionSelector } from '../../apis/names.ts';
import type { Log } from '../../apis/runtime/log.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { SessionTransition, TransitionSource } from '../../proxy/invocation/endings/chronicle.ts';
import { type SessionRecord, toSessionRecord } from '../../proxy/invocation/session-record.ts';

/** One change of one session. kube-apiserver turns transitions of our marker label into ADDED and DELETED. */
export interface SessionEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  resourceVersion: bigint;
  /** Before the change; absent for ADDED. */
  previous: Session | undefined;
  /** After it; for DELETED the last state, under the deletion's resourceVersion. */
  current: Session;
}

/** Receives events of the cache on the tick on which they happen. */
export interface SessionSubscriber {
  event(event: SessionEvent): void;
  /** Everything up to this resourceVersion has been delivered. */
  bookmark(resourceVersion: bigint): void;
  /** Events were lost: the watch must end, its client goes on from its last resourceVersion. */
  gap(): void;
}

/** How many events are kept for clients that come back; at 50 changes a second, a minute and a half. */
const ringSize = 5000;

/** Which part of the sessions is asked for. */
export interface Scope {
  namespace: string | undefined;
  name: string | undefined;
}

/** All sessions, from one reflector on session-bearing Sandboxes, with the last events. Feeds every watch and invocation. */
export class SessionCache implements TransitionSource {
  readonly #records = new Map<string, SessionRecord>();
  readonly #reflector: Reflector<Sandbox>;
  readonly #subscribers = new Set<{ scope: Scope; subscriber: SessionSubscriber }>();
  readonly #changeListeners = new Set<(key: string) => void>();
  readonly #transitionListeners = new Set<(transition: SessionTransition) => void>();
  readonly #log: Log;
  #ring: SessionEvent[] = [];
  /** Every event after this one is in the ring. */
  #ringStart = 0n;
  #resourceVersion = 0n;

  constructor(client: KubeClient, log: Log) {
    this.#log = log;
    const sink: ReflectorSink<Sandbox> = {
      replaced: (items, resourceVersion) => this.#replace(items, BigInt(resourceVersion)),
      changed: ({ type, object }) => this.#change(type, object),
      bookmarked: (resourceVersion) => this.#bookmark(BigInt(resourceVersion)),
    };
    const path = `${sandboxApi.path}/${sandboxApi.resource}`;
    this.#reflector = new Reflector({ client, path, labelSelector: sessionSelector, sink, log });
  }

  get synced(): boolean {
    return this.#reflector.synced;
  }

  /** Everything up to this resourceVersion is in the cache. */
  get resourceVersion(): bigint {
    return this.#resourceVersion;
  }

  start(): void {
    this.#reflector.start();
  }

  async stop(): Promise<void> {
    await this.#reflector.stop();
    this.endWatches();
  }

  /** Ends every watch cleanly; its client goes on elsewhere from its last resourceVersion. */
  endWatches(): void {
    if (this.#subscribers.size > 0) this.#log.info('ending watches', { watches: this.#subscribers.size });
    for (const { subscriber } of [...this.#subscribers]) subscriber.gap();
  }

  get(namespace: string, name: string): SessionRecord | undefined {
    return this.#records.get(`${namespace}/${name}`);
  }

  /** The sessions of a scope in the order of their keys, as etcd would list them. */
  list(scope: Scope): Session[] {
    const found: Session[] = [];
    if (scope.namespace !== undefined && scope.name !== undefined) {
      const record = this.get(scope.namespace, scope.name);
      if (record !== undefined) found.push(record.session);
      return found;
    }
    for (const { session } of this.#records.values()) if (inScope(session, scope)) found.push(session);
    return found.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  }

  /** Events after a resourceVersion; undefined when the ring does not reach back that far. */
  eventsSince(resourceVersion: bigint, scope: Scope): SessionEvent[] | undefined {
    if (resourceVersion < this.#ringStart) return undefined;
    return this.#ring.filter((event) => event.resourceVersion > resourceVersion && inScope(event.current, scope));
  }

  subscribe(scope: Scope, subscriber: SessionSubscriber): () => void {
    const entry = { scope, subscriber };
    this.#subscribers.add(entry);
    return () => this.#subscribers.delete(entry);
  }

  /** Calls a listener with `namespace/name` of every session that changed, after the cache has it. */
  onChange(listener: (key: string) => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  onTransition(listener: (transition: SessionTransition) => void): () => void {
    this.#transitionListeners.add(listener);
    return () => this.#transitionListeners.delete(listener);
  }

  #replace(items: readonly Sandbox[], resourceVersion: bigint): void {
    const before = new Map(this.#records);
    this.#records.clear();
    for (const item of items) this.#records.set(keyOf(item), toSessionRecord(item));
    this.#ring = [];
    this.#ringStart = resourceVersion;
    this.#resourceVersion = resourceVersion;
    this.endWatches();
    for (const key of new Set([...before.keys(), ...this.#records.keys()])) this.#announce(key, before.get(key));
  }

  #change(type: SessionEvent['type'], sandbox: Sandbox): void {
    const key = keyOf(sandbox);
    const record = toSessionRecord(sandbox);
    const previous = this.#records.get(key);
    if (type === 'DELETED') this.#records.delete(key);
    else this.#records.set(key, record);
    const resourceVersion = BigInt(sandbox.metadata.resourceVersion ?? '0');
    const event: SessionEvent = { type, resourceVersion, previous: previous?.session, current: record.session };
    this.#resourceVersion = resourceVersion;
    this.#remember(event);
    for (const { scope, subscriber } of this.#subscribers) if (inScope(event.current, scope)) subscriber.event(event);
    this.#announce(key, previous);
  }

  #remember(event: SessionEvent): void {
    this.#ring.push(event);
    // Cutting rarely, in halves, costs less than shifting an array for every event.
    if (this.#ring.length < 2 * ringSize) return;
    const dropped = this.#ring.splice(0, ringSize);
    this.#ringStart = dropped.at(-1)?.resourceVersion ?? this.#ringStart;
  }

  #bookmark(resourceVersion: bigint): void {
    this.#resourceVersion = resourceVersion;
    for (const { subscriber } of this.#subscribers) subscriber.bookmark(resourceVersion);
  }

  #announce(key: string, previous: SessionRecord | undefined): void {
    for (const listener of this.#changeListeners) listener(key);
    if (!this.synced) return;
    const transition = { previous, current: this.#records.get(key) };
    for (const listener of this.#transitionListeners) listener(transition);
  }
}

/** Whether a session is in a scope. */
export function inScope({ metadata }: Session, { namespace, name }: Scope): boolean {
  return (
    (namespace === undefined || metadata.namespace === namespace) && (name === undefined || metadata.name === name)
  );
}
