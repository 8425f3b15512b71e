import type { Registry } from 'prom-client';
import type { KubeClient } from '../../../apis/client/transport.ts';
import { findCondition, keyOf } from '../../../apis/machinery/meta.ts';
import type { Log } from '../../../apis/runtime/log.ts';
import { recordOf, type SandboxSource } from '../sandbox-source.ts';
import type { SessionRecord } from '../session-record.ts';
import { FlushTimes } from './flush-times.ts';
import type { ActivityLease } from './lease.ts';
import { ActivityMetrics } from './metrics.ts';
import { SandboxWriter } from './sandbox-writer.ts';
import { type ActivityContext, SessionActivity } from './session-activity.ts';
import { readStoredActivity } from './stored-activity.ts';

/** Flushes that run at the same time when the process stops. */
const flushesAtStop = 32;
const defaultStopTimeoutMs = 5_000;

/** The lease of a session whose activity moves nothing. */
const untracked: ActivityLease = Object.freeze({ end: () => undefined });

export interface ActivityTrackerOptions {
  client: KubeClient;
  sandboxes: SandboxSource;
  registry: Registry;
  log: Log;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/**
 * Keeps sessions alive that are in use. Activity is kept in memory by whichever process forwards, and written on the
 * Sandbox (annotation and shutdownTime in one patch) at most once in a flush interval by all processes together.
 */
export class ActivityTracker {
  readonly #sandboxes: SandboxSource;
  readonly #sessions = new Map<string, SessionActivity>();
  readonly #requests = new AbortController();
  readonly #context: ActivityContext;
  #unsubscribe: (() => void) | undefined;
  #stopped = false;

  constructor({ client, sandboxes, registry, log, now }: ActivityTrackerOptions) {
    this.#sandboxes = sandboxes;
    this.#context = {
      writer: new SandboxWriter(client, this.#requests.signal),
      flushTimes: new FlushTimes(now),
      metrics: new ActivityMetrics(registry),
      log,
      now,
    };
  }

  /** Sessions with calls in flight, or with activity that is not stored yet. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Whether a session (`namespace/name`) has calls in flight here, or activity that is not stored yet. */
  isInUse(key: string): boolean {
    return this.#sessions.get(key)?.isInUse === true;
  }

  /** Follows the sessions, so that what other processes write counts too. Call it before the source starts. */
  start(): void {
    this.#unsubscribe = this.#sandboxes.onChange((key) => this.#changed(key));
  }

  /**
   * A call for a session begins; until its lease is ended the session is in use. Answers at once, except for a session
   * that would end or be suspended within a few seconds: then its deadline is moved first. Whoever had to wait looks again
   * where the session is: it may have been suspended all the same.
   * @throws ApiError, by rejecting: Gone when the session's end has come, NotFound when it was deleted meanwhile,
   * ServiceUnavailable or TooManyRequests when kube-apiserver did not let the deadline be moved.
   */
  begin(record: SessionRecord): ActivityLease | Promise<ActivityLease> {
    const key = keyOf(record.session);
    const known = this.#sessions.get(key);
    if (known !== undefined && known.sandboxUid === record.sandboxUid) return known.begin();
    return this.#open(key, record)?.begin() ?? untracked;
  }

  /**
   * A call waits for a session until its lease is ended. That is no use: one that starts is kept for a while, so that it does
   * not end before its first call can begin; one that something keeps from running is not.
   */
  wait(record: SessionRecord): ActivityLease {
    if (!isStarting(record)) return untracked;
    const key = keyOf(record.session);
    const known = this.#sessions.get(key);
    const activity = known?.sandboxUid === record.sandboxUid ? known : this.#open(key, record);
    return activity?.wait() ?? untracked;
  }

  /**
   * Writes all activity that is newer than what is stored. Call it when no more calls come.
   * @param timeoutMs how long that may take; what is not written by then is lost, and logged.
   */
  async stop({ timeoutMs = defaultStopTimeoutMs } = {}): Promise<void> {
    this.#stopped = true;
    const timer = setTimeout(() => this.#requests.abort(), timeoutMs);
    const left = [...this.#sessions.entries()];
    let lost = 0;
    const work = async () => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) {
        const [session, activity] = next;
        try {
          await activity.stop(this.#requests.signal);
        } catch (error) {
          lost += 1;
          this.#context.log.debug('the last activity of a session was not stored', { session, error });
        }
      }
    };
    await Promise.all(Array.from({ length: flushesAtStop }, work));
    clearTimeout(timer);
    this.#unsubscribe?.();
    for (const activity of [...this.#sessions.values()]) activity.close();
    if (lost > 0) this.#context.log.warn('the last activity of some sessions was not stored', { sessions: lost });
  }

  #open(key: string, record: SessionRecord): SessionActivity | undefined {
    if (this.#stopped) return undefined;
    // The record may be older than the session that has the name now; then there is nothing left to keep alive.
    const current = recordOf(this.#sandboxes, key);
    if (current !== undefined && current.sandboxUid !== record.sandboxUid) return undefined;
    const stored = readStoredActivity(record);
    if (stored === undefined) return undefined;
    if (this.#context.flushTimes.get(key) === undefined) this.#context.flushTimes.observe(key, record);
    this.#sessions.get(key)?.close();
    const onClosed = (closed: SessionActivity) => {
      if (this.#sessions.get(key) === closed) this.#sessions.delete(key);
    };
    const activity = new SessionActivity({ key, stored, context: this.#context, onClosed });
    this.#sessions.set(key, activity);
    return activity;
  }

  #changed(key: string): void {
    const record = recordOf(this.#sandboxes, key);
    this.#context.flushTimes.observe(key, record);
    const activity = this.#sessions.get(key);
    if (activity === undefined) return;
    if (record === undefined) activity.close();
    else activity.changed(record);
  }
}

/** Whether a session is on its way to its first Pod, and nothing is known to keep it from running. */
function isStarting({ session: { status }, failure }: SessionRecord): boolean {
  const isScheduled = findCondition(status?.conditions, 'PodScheduled')?.status !== 'False';
  return status?.phase === 'Pending' && failure === undefined && isScheduled;
}
