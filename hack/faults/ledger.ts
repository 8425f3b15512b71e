import { parseDuration } from '../../apis/v1alpha1/duration.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';

/** What the users of a run know of one session that they were told exists. Times are milliseconds since the epoch. */
export interface Entry {
  name: string;
  uid: string;
  runtime: string;
  createdAt: number;
  /** As it may be now: a patch whose answer was lost may have changed it. */
  idleTimeoutsMs: number[];
  maxDurationMs: number;
  /** When the last call began that was answered, and when the last one ended that may have arrived. */
  answeredAt: number | undefined;
  attemptedAt: number | undefined;
  /** A deletion was asked for; whether it was answered does not matter, it may have happened. */
  deletionAskedAt: number | undefined;
}

/** Everything that was acknowledged to the users of a run. */
export class Ledger {
  readonly #entries = new Map<string, Entry>();
  /** Sessions that may exist without anybody having been told. */
  unanswered = 0;

  created(session: Session, runtime: string): Entry {
    const { name = '', uid = '', creationTimestamp } = session.metadata;
    const { idleTimeout = '15m', maxDuration = '8h' } = session.spec;
    const entry: Entry = {
      name,
      uid,
      runtime,
      createdAt: Date.parse(String(creationTimestamp)),
      idleTimeoutsMs: [parseDuration(idleTimeout)],
      maxDurationMs: parseDuration(maxDuration),
      answeredAt: undefined,
      attemptedAt: undefined,
      deletionAskedAt: undefined,
    };
    if (this.#entries.has(uid)) throw new Error(`the uid ${uid} was given out twice: ${name}`);
    this.#entries.set(uid, entry);
    return entry;
  }

  get all(): Entry[] {
    return [...this.#entries.values()];
  }

  /** Sessions that somebody could still use: nobody has asked for their deletion. */
  get open(): Entry[] {
    return this.all.filter(({ deletionAskedAt }) => deletionAskedAt === undefined);
  }
}
