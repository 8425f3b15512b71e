import type { SessionRecord } from '../session-record.ts';
import { readStoredActivity } from './stored-activity.ts';

interface FlushTime {
  sandboxUid: string;
  /** The stored activity as it is written. */
  activity: string;
  flushedAt: number;
}

/**
 * When somebody last wrote a session's activity, by this process's own clock. The stored time itself does not say: it is
 * that of the activity, which may be a flush interval older than its write. Kept for every session that was in use, as
 * the next flush may be this process's.
 */
export class FlushTimes {
  readonly #times = new Map<string, FlushTime>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Takes note of a session as it is now, under its `namespace/name`; undefined when it is gone. */
  observe(key: string, record: SessionRecord | undefined): void {
    const activity = record?.session.status?.lastActivityTime;
    if (record === undefined || activity === undefined) {
      this.#times.delete(key);
      return;
    }
    const { sandboxUid } = record;
    const known = this.#times.get(key);
    if (known?.activity === activity && known.sandboxUid === sandboxUid) return;
    let flushedAt = this.#now();
    // Of a session seen for the first time it is only known that activity waits no longer than an interval to be written.
    if (known?.sandboxUid !== sandboxUid) {
      const stored = readStoredActivity(record);
      if (stored !== undefined) flushedAt = Math.min(flushedAt, stored.activityAt + stored.intervalMs);
    }
    this.#times.set(key, { sandboxUid, activity, flushedAt });
  }

  /** When a session's activity was last written: milliseconds since the epoch; undefined when it never was. */
  get(key: string): number | undefined {
    return this.#times.get(key)?.flushedAt;
  }
}
