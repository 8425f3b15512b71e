import type { KubeClient } from '../../apis/client/transport.ts';
import { ApiError } from '../../apis/machinery/errors.ts';
import { findCondition } from '../../apis/machinery/meta.ts';
import { longestTimerMs } from '../../apis/machinery/time.ts';
import type { Log } from '../../apis/runtime/log.ts';
import type { Probe } from '../../apis/runtime/operations.ts';
import { addressProblem } from './addresses.ts';
import type { EndedSessions } from './endings/tombstones.ts';
import { notFound } from './errors.ts';
import { failed, final, notReady, type Obstacle, stateObstacle, troubled, unschedulable, unseen } from './obstacles.ts';
import { type AnsweringPod, PodIndex } from './pods.ts';
import type { SandboxSource } from './sandbox-source.ts';
import type { SessionRecord } from './session-record.ts';
import { UnknownSessions } from './unknown-sessions.ts';

/** A session that can be invoked now, and the Pod to dial. */
export interface Location {
  record: SessionRecord;
  podUid: string;
  address: string;
}

export interface WaitOptions {
  timeoutMs: number;
  /** How long it may wait at most while something keeps the session's Pod from running; a few seconds when absent. */
  troubledTimeoutMs?: number;
  /** Ends the wait early, with its reason. */
  signal: AbortSignal;
}

/** Brings sessions back that were suspended for being idle. */
export interface Wakeup {
  /**
   * Resolves when the session is wanted again; the watch tells when it is there. Any number of calls cost one write.
   * @throws ApiError Gone, ServiceUnavailable.
   */
  wake(record: SessionRecord): Promise<void>;
}

export interface DirectoryOptions {
  client: KubeClient;
  sandboxes: SandboxSource;
  /** Why sessions are no more. */
  ended: EndedSessions;
  wakeup: Wakeup;
  /** Dial Pods in 127.0.0.0/8; only a local cluster has such. */
  allowLoopbackPods: boolean;
  log: Log;
}

/** After this a session that exists and that the watch has not brought is looked for again. */
const unseenMs = 1_000;
/** Kubernetes tries again by itself what keeps a Pod from running: a call waits so long for it to heal. */
const troubledMs = 5_000;
const synchronizing = 'the sessions are still being read from kube-apiserver';

/** Where every session is, from memory; or why it cannot be invoked. */
export class Directory {
  readonly #sandboxes: SandboxSource;
  readonly #allowLoopback: boolean;
  /** The Pods of the sessions. */
  readonly pods: PodIndex;
  readonly #ended: EndedSessions;
  readonly #wakeup: Wakeup;
  readonly #unknown: UnknownSessions;
  readonly #waiters = new Map<string, Set<() => void>>();
  /** Where a Pod was found to be, because looking at an address costs more than all the rest. */
  readonly #locations = new WeakMap<AnsweringPod, Location>();
  readonly #unsubscribe: (() => void)[];

  constructor({ client, sandboxes, ended, wakeup, allowLoopbackPods, log }: DirectoryOptions) {
    this.#sandboxes = sandboxes;
    this.#allowLoopback = allowLoopbackPods;
    const wake = (key: string) => this.#wake(key);
    this.pods = new PodIndex({ client, log });
    this.#ended = ended;
    this.#wakeup = wakeup;
    this.#unknown = new UnknownSessions(client);
    this.#unsubscribe = [sandboxes.onChange(wake), this.pods.onChange(wake)];
  }

  get probe(): Probe {
    return { name: 'session-directory', check: () => (this.#synced ? undefined : synchronizing) };
  }

  start(): void {
    this.pods.start();
  }

  async stop(): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    await this.pods.stop();
  }

  /** The session of a name, whatever its state. */
  find(namespace: string, name: string): SessionRecord | undefined {
    return this.#sandboxes.get(namespace, name);
  }

  /** Where a session is, if it can be invoked now. */
  ifReady(namespace: string, name: string): Location | undefined {
    const found = this.#look(namespace, name);
    return 'error' in found ? undefined : found;
  }

  /**
   * Where a session is as soon as it can be invoked. Woken by changes, never polling. One whose Pod does not run for a
   * reason that may heal is waited for only a little: the caller is told the reason.
   * @throws ApiError NotFound, Gone (it is being deleted, or it has ended; why is in the details), SessionSuspended, SessionFailed, UpstreamFailed (the Pod's address is refused),
   * ServiceUnavailable before the first sync, SessionNotReady after the time is over; the signal's reason when it aborts.
   */
  async waitUntilReady(namespace: string, name: string, options: WaitOptions): Promise<Location> {
    const { timeoutMs, troubledTimeoutMs = troubledMs, signal } = options;
    const begun = performance.now();
    let exists = false;
    for (;;) {
      signal.throwIfAborted();
      const found = this.#look(namespace, name);
      if (!('error' in found)) return found;
      const { error, cure } = found;
      if (cure === 'none') throw error;
      const patienceMs = cure === 'trouble may pass' ? Math.min(timeoutMs, troubledTimeoutMs) : timeoutMs;
      const remainingMs = begun + patienceMs - performance.now();
      const missing = cure === 'may be unseen';
      if (remainingMs <= 0) throw missing && exists ? unseen() : error;
      // Subscribed before anything is awaited, so that no change is missed.
      const change = this.#nextChange(`${namespace}/${name}`, {
        timeoutMs: missing ? Math.min(remainingMs, unseenMs) : remainingMs,
        signal,
      });
      try {
        // A session that was created a moment ago may be on its way to us: its creator knows already that it exists.
        if (missing) exists = await this.#unknown.exists(namespace, name);
        if (missing && !exists) throw (await this.#ended.find(namespace, { name })) ?? error;
        const asleep = cure === 'must be woken' ? this.#sandboxes.get(namespace, name) : undefined;
        if (asleep === undefined) await change.happened;
        else await Promise.race([change.happened, this.#wakeup.wake(asleep).then(() => change.happened)]);
      } finally {
        change.stop();
      }
    }
  }

  /** Where a session is now, or why it is nowhere. */
  #look(namespace: string, name: string): Location | Obstacle {
    if (!this.#synced) {
      return final(new ApiError('ServiceUnavailable', `${synchronizing}; try again`, { retryAfterSeconds: 1 }));
    }
    const record = this.#sandboxes.get(namespace, name);
    if (record === undefined) return { error: notFound(name), cure: 'may be unseen' };
    const obstacle = stateObstacle(record);
    if (obstacle !== undefined && !this.#isBeingReplaced(record)) return obstacle;
    const pod = this.pods.readyPodOf(record.sandboxUid);
    if (pod === undefined || !isPodOf(record, pod)) return this.#troubleOf(record) ?? notReady(record);
    const known = this.#locations.get(pod);
    if (known?.record === record) return known;
    const refusal = addressProblem(pod.address, { allowLoopback: this.#allowLoopback });
    if (refusal === undefined) {
      const location = { record, podUid: pod.uid, address: pod.address };
      this.#locations.set(pod, location);
      return location;
    }
    return final(new ApiError('UpstreamFailed', `the session cannot be reached: the address of its Pod ${refusal}`));
  }

  /** Whether a session is Failed because of a Pod that goes, or is gone: agent-sandbox makes it another one. */
  #isBeingReplaced(record: SessionRecord): boolean {
    const { status } = record.session;
    if (status?.phase !== 'Failed' || findCondition(status.conditions, 'DataInvalid') !== undefined) return false;
    const pod = this.pods.podOf(record.sandboxUid);
    if (pod === undefined || pod.terminating) return true;
    return pod.failure === undefined && record.failure?.podUid !== pod.uid;
  }

  /** What keeps the Pod from running: as it says itself, as somebody has recorded it, or as the scheduler says. */
  #troubleOf(record: SessionRecord): Obstacle | undefined {
    const pod = this.pods.podOf(record.sandboxUid);
    const isRecorded = pod?.terminating !== true && record.failure?.podUid === pod?.uid;
    const recorded = isRecorded ? record.failure : undefined;
    const failure = pod?.failure ?? recorded ?? unschedulable(record);
    if (failure === undefined) return undefined;
    return failure.final ? failed(failure) : troubled(record, failure);
  }

  get #synced(): boolean {
    return this.#sandboxes.synced && this.pods.synced;
  }

  #wake(key: string): void {
    for (const wake of this.#waiters.get(key) ?? []) wake();
  }

  /** The next change of a session or its Pod, the end of the time or the abort, whichever is first. */
  #nextChange(
    key: string,
    { timeoutMs, signal }: Pick<WaitOptions, 'timeoutMs' | 'signal'>,
  ): { happened: Promise<void>; stop: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, Math.min(Math.max(0, timeoutMs), longestTimerMs));
    const waiters = this.#waiters.get(key) ?? new Set();
    const wake = () => resolve();
    waiters.add(wake);
    this.#waiters.set(key, waiters);
    signal.addEventListener('abort', wake, { once: true });
    const stop = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', wake);
      waiters.delete(wake);
      if (waiters.size === 0 && this.#waiters.get(key) === waiters) this.#waiters.delete(key);
    };
    return { happened: promise, stop };
  }
}

/**
 * Whether a Pod is the one that the session has now. What is known of Pods may be older than what is known of sessions:
 * after a suspension it may be the Pod from before.
 */
function isPodOf({ session: { status } }: SessionRecord, { address }: AnsweringPod): boolean {
  if (status?.phase === 'Resuming') return false;
  return status?.phase !== 'Ready' || status.addresses === undefined || status.addresses.includes(address);
}
