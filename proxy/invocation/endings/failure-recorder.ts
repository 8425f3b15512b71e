import type { KubeClient } from '../../../apis/client/transport.ts';
import { hasReason } from '../../../apis/machinery/errors.ts';
import { annotations } from '../../../apis/names.ts';
import type { Log } from '../../../apis/runtime/log.ts';
import { type Failure, serializeFailure } from '../../../apis/v1alpha1/failure.ts';
import { sandboxChange } from '../../../apis/v1alpha1/sandbox-change.ts';
import type { PodIndex, PodRecord } from '../pods.ts';
import { recordOf, type SandboxSource } from '../sandbox-source.ts';
import type { SessionRecord } from '../session-record.ts';
import { isSameTrouble } from './pod-failure.ts';

/** Replicas see a Pod fail at the same moment; spread over this, the first one's write mostly spares the others theirs. */
const spreadMs = 1_000;
/** Between two writes about one session by this process. */
const pauseMs = 1_000;
const longestPauseMs = 30_000;
const requestTimeoutMs = 10_000;
/** Writes at once: a node that dies takes many Pods with it. */
const mostWrites = 8;

export interface FailureRecorderOptions {
  client: KubeClient;
  sandboxes: SandboxSource;
  pods: PodIndex;
  log: Log;
  /** Called when a failure is seen that is not recorded; it may be over before it is. */
  onSeen: (record: SessionRecord, failure: Failure) => void;
  /** Called once this process has recorded a failure. */
  onRecorded: (record: SessionRecord, failure: Failure) => void;
}

/** A session whose annotation differs from what its Pod says. */
interface Difference {
  timer: NodeJS.Timeout | undefined;
  failures: number;
}

/**
 * Keeps the failure annotation of every session what its Pod says, from every process that sees the Pod: by one
 * fenced patch for each change of the reason, whoever comes first. Only sessions whose annotation differs take memory.
 */
export class FailureRecorder {
  readonly #options: FailureRecorderOptions;
  readonly #differences = new Map<string, Difference>();
  readonly #due: string[] = [];
  readonly #requests = new AbortController();
  readonly #running = new Set<Promise<void>>();
  #unsubscribe: (() => void)[] = [];

  constructor(options: FailureRecorderOptions) {
    this.#options = options;
  }

  start(): void {
    const { sandboxes, pods } = this.#options;
    const look = (key: string) => this.#look(key);
    this.#unsubscribe = [sandboxes.onChange(look), pods.onChange(look)];
  }

  /** What is not written yet is left to the other processes, or to the next start. */
  async stop(): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#requests.abort();
    for (const { timer } of this.#differences.values()) clearTimeout(timer);
    this.#differences.clear();
    await Promise.all(this.#running);
  }

  #look(key: string): void {
    const known = this.#differences.get(key);
    const wanted = this.#wanted(key);
    const differs = wanted !== undefined;
    if (wanted?.failure !== undefined) this.#options.onSeen(wanted.record, wanted.failure);
    if (known === undefined && differs) this.#wait(key, { timer: undefined, failures: 0 }, Math.random() * spreadMs);
    // One that is due or being written is looked at again by itself.
    else if (known?.timer !== undefined && known.failures === 0 && !differs) this.#forget(key, known);
  }

  #wait(key: string, difference: Difference, ms: number): void {
    difference.timer = setTimeout(() => {
      difference.timer = undefined;
      this.#due.push(key);
      this.#work();
    }, ms);
    difference.timer.unref();
    this.#differences.set(key, difference);
  }

  #forget(key: string, { timer }: Difference): void {
    clearTimeout(timer);
    this.#differences.delete(key);
  }

  #work(): void {
    while (this.#running.size < mostWrites && !this.#requests.signal.aborted) {
      const key = this.#due.shift();
      if (key === undefined) return;
      const writing = this.#write(key).finally(() => {
        this.#running.delete(writing);
        this.#work();
      });
      this.#running.add(writing);
    }
  }

  /** Never rejects. */
  async #write(key: string): Promise<void> {
    const difference = this.#differences.get(key);
    const wanted = this.#wanted(key);
    if (difference === undefined) return;
    // Somebody else was first, or it healed.
    if (wanted === undefined) {
      this.#forget(key, difference);
      return;
    }
    try {
      await this.#patch(wanted.record, wanted.failure);
      difference.failures = 0;
      if (wanted.failure !== undefined) this.#options.onRecorded(wanted.record, wanted.failure);
    } catch (error) {
      if (this.#requests.signal.aborted) return;
      // What has changed meanwhile is on its way by the watch, and so is a deletion.
      if (!hasReason(error, 'Conflict', 'NotFound')) {
        difference.failures += 1;
        this.#options.log.warn('why a session does not run could not be recorded, trying again', {
          session: key,
          error,
        });
      }
    }
    const backoffMs = Math.min(pauseMs * 2 ** difference.failures, longestPauseMs);
    this.#wait(key, difference, backoffMs * (0.75 + Math.random() / 2));
  }

  async #patch({ session }: SessionRecord, failure: Failure | undefined): Promise<void> {
    const { resourceVersion } = session.metadata;
    await this.#options.client.request({
      ...sandboxChange(session.metadata, {
        metadata: {
          resourceVersion,
          annotations: { [annotations.failure]: failure === undefined ? null : serializeFailure(failure) },
        },
      }),
      signal: this.#requests.signal,
      timeoutMs: requestTimeoutMs,
    });
  }

  #wanted(key: string): { record: SessionRecord; failure: Failure | undefined } | undefined {
    const { sandboxes, pods } = this.#options;
    const record = recordOf(sandboxes, key);
    if (record === undefined || !pods.synced) return undefined;
    const failure = failureToRecord(record, pods.podOf(record.sandboxUid));
    return failure === 'as it is' ? undefined : { record, failure };
  }
}

/**
 * What the failure annotation of a session is to become: a failure, nothing, or what it is. A container that crashes now
 * and then looks well in between; so a failure stays until its Pod is ready, or another Pod has taken its place.
 */
function failureToRecord(
  { session, failure: recorded }: SessionRecord,
  pod: PodRecord | undefined,
): Failure | undefined | 'as it is' {
  const none = recorded === undefined ? 'as it is' : undefined;
  switch (session.status?.phase) {
    case 'Terminating':
      return 'as it is';
    // The Pod that failed is taken away; the next one must not begin with its failure.
    case 'Suspending':
    case 'Suspended':
      return none;
    default:
  }
  if (pod === undefined) return 'as it is';
  if (pod.ready && !pod.terminating) return none;
  const seen = pod.failure;
  if (seen !== undefined) return recorded !== undefined && isSameTrouble(recorded, seen) ? 'as it is' : seen;
  return recorded?.podUid === pod.uid || pod.terminating ? 'as it is' : none;
}
