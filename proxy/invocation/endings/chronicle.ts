import { LRUCache } from 'lru-cache';
import type { KubeClient } from '../../../apis/client/transport.ts';
import type { Log } from '../../../apis/runtime/log.ts';
import type { Failure } from '../../../apis/v1alpha1/failure.ts';
import type { Session } from '../../../apis/v1alpha1/types.ts';
import type { SessionRecord } from '../session-record.ts';
import { type Ending, endingOf } from './ending.ts';
import { EventWriter } from './event-writer.ts';
import {
  type CoreEvent,
  createdEvent,
  endedEvent,
  failedEvent,
  type ResumeCause,
  resumedEvent,
  suspendedEvent,
} from './session-event.ts';
import type { EndedSessions } from './tombstones.ts';

/** One change of one session as a watch brings it: `previous` is absent for a new one, `current` for one that is gone. */
export interface SessionTransition {
  previous: SessionRecord | undefined;
  current: SessionRecord | undefined;
}

/** Where the changes of all sessions come from; the first list is none. */
export interface TransitionSource {
  onTransition(listener: (transition: SessionTransition) => void): () => void;
}

/** What was done is answered first: on a small machine an Event in the same moment would be in the answer's way. */
const momentMs = 100;
/** Whoever only saw something happen leaves whoever did it this much time to tell it. */
const patienceMs = 3_000;
/** Witnesses are spread over this much more. */
const spreadMs = 3_000;
/** Events that this process has asked for lately: what it did comes back by its own watch. */
const mostKnown = 10_000;
/** How long a deletion that was served here is remembered; finalizers may hold the session meanwhile. */
const deletionMs = 10 * 60_000;
/** How long what this process has changed of a session is remembered: until its Pod is gone, or there again. */
const changeMs = 2 * 60_000;

export interface ChronicleOptions {
  client: KubeClient;
  transitions: TransitionSource;
  ended: EndedSessions;
  log: Log;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/**
 * Tells the life of every session in Events on it, with no leader: whichever process did something writes its Event a
 * moment later, all others that saw it some seconds later, and kube-apiserver keeps the first.
 */
export class Chronicle {
  readonly #options: ChronicleOptions;
  readonly #writer: EventWriter;
  readonly #known = new LRUCache<string, true>({ max: mostKnown });
  /** Who deleted, by the session's uid. */
  readonly #deletions = new LRUCache<string, { username: string }>({ max: mostKnown, ttl: deletionMs });
  /** Sessions that this process has changed, by uid. */
  readonly #changed = new LRUCache<string, true>({ max: mostKnown, ttl: changeMs });
  /** Why sessions come back that had no Pod, by uid. */
  readonly #wanted = new LRUCache<string, ResumeCause>({ max: mostKnown });
  /** Sessions whose end somebody else may be about to tell, by uid. */
  readonly #witnessed = new LRUCache<string, Session>({ max: mostKnown, ttl: patienceMs + spreadMs });
  #unsubscribe: (() => void) | undefined;

  constructor(options: ChronicleOptions) {
    this.#options = options;
    this.#writer = new EventWriter(options.client, options.log);
  }

  start(): void {
    this.#unsubscribe = this.#options.transitions.onTransition((transition) => this.#seen(transition));
  }

  async stop(): Promise<void> {
    this.#unsubscribe?.();
    await this.#writer.stop();
  }

  /** This process has created a session. */
  created(session: Session): void {
    this.#did(createdEvent(session, this.#options.now()));
  }

  /** This process has written a session: it tells of the suspension or resume that follows. */
  changed({ metadata: { uid } }: Session): void {
    if (uid !== undefined) this.#changed.set(uid, true);
  }

  /** A session does not run; whoever records it first may tell it at once. */
  failing({ session }: SessionRecord, failure: Failure): void {
    this.#saw(failedEvent(session, failure, this.#options.now()));
  }

  /** This process has recorded why a session does not run. */
  failed({ session }: SessionRecord, failure: Failure): void {
    this.#did(failedEvent(session, failure, this.#options.now()));
  }

  /** This process has served the deletion of a session; it may be gone already, or wait for its finalizers. */
  deleted(uid: string, username: string): void {
    // Who comes second finds it terminating already.
    if (!this.#deletions.has(uid)) this.#deletions.set(uid, { username });
    const witnessed = this.#witnessed.get(uid);
    if (witnessed !== undefined) this.#ended(witnessed);
  }

  #seen({ previous, current }: SessionTransition): void {
    if (previous !== undefined && current !== undefined && previous.sandboxUid !== current.sandboxUid) {
      this.#seen({ previous, current: undefined });
      this.#seen({ previous: undefined, current });
      return;
    }
    const now = this.#options.now();
    if (current === undefined) {
      if (previous !== undefined) this.#ended(previous.session);
      return;
    }
    const { session } = current;
    if (previous === undefined) {
      this.#saw(createdEvent(session, now));
      return;
    }
    const { uid = '' } = session.metadata;
    const cause = resumeCause(previous, current);
    if (cause !== undefined) this.#wanted.set(uid, cause);
    const before = previous.session.status?.phase;
    const phase = session.status?.phase;
    const tell = (event: CoreEvent) => (this.#changed.has(uid) ? this.#did(event) : this.#saw(event));
    if (phase === 'Suspended' && before !== 'Suspended') tell(suspendedEvent(session, now));
    const wasAway = before === 'Suspending' || before === 'Suspended' || before === 'Resuming';
    if (phase === 'Ready' && wasAway) {
      tell(resumedEvent(session, this.#wanted.get(uid), now));
      this.#wanted.delete(uid);
    }
  }

  #ended(session: Session): void {
    const { uid = '' } = session.metadata;
    const { now, ended } = this.#options;
    const ending = endingOf(session, now());
    const deletedBy = this.#deletions.get(uid);
    const isOver = ending.reason === 'IdleTimeout' || ending.reason === 'MaxDuration';
    if (deletedBy === undefined) {
      this.#witnessed.set(uid, session);
      // Who deleted it, its pool or which user, only whoever served the deletion can tell.
      ended.remember(session, ending, isOver ? 'certain' : 'guessed');
      this.#saw(endedEvent(session, ending));
      return;
    }
    const told: Ending = isOver
      ? ending
      : { ...ending, reason: 'Deleted', message: `it was deleted by ${deletedBy.username}` };
    this.#witnessed.delete(uid);
    ended.remember(session, told, 'certain');
    this.#did(endedEvent(session, told));
  }

  #did(event: CoreEvent): void {
    if (this.#isNew(event) || this.#writer.waits(event)) this.#writer.write(event, momentMs);
  }

  #saw(event: CoreEvent): void {
    if (this.#isNew(event)) this.#writer.write(event, patienceMs + Math.random() * spreadMs);
  }

  #isNew({ metadata }: CoreEvent): boolean {
    const key = `${metadata.namespace}/${metadata.name}`;
    if (this.#known.has(key)) return false;
    this.#known.set(key, true);
    return true;
  }
}

/** Whether a change of a session is what brings it back. */
function resumeCause(previous: SessionRecord, current: SessionRecord): ResumeCause | undefined {
  const [before, now] = [previous.suspension.wanted, current.suspension.wanted];
  if (now !== 'no' || before === 'no') return undefined;
  return before === 'hold' ? 'release' : 'call';
}
