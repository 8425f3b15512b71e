import type { KubeClient } from '../../apis/client/transport.ts';
import { ApiError, hasReason } from '../../apis/machinery/errors.ts';
import type { Log } from '../../apis/runtime/log.ts';
import type { Probe } from '../../apis/runtime/operations.ts';
import { addressProblem } from './addresses.ts';
import { notFound } from './errors.ts';
import { PodIndex } from './pods.ts';
import { failureOf, type SessionRecord } from './session-record.ts';
import { UnknownSessions } from './unknown-sessions.ts';

/** Where the sessions come from: the apiserver's watch cache, or the proxy's own informer. */
export interface SandboxSource {
  /** Whether the first list is there; before that, an absent session means nothing. */
  readonly synced: boolean;
  get(namespace: string, name: string): SessionRecord | undefined;
  /** Calls a listener with `namespace/name` of every session that changed, after `get` shows it. Returns the end of it. */
  onChange(listener: (key: string) => void): () => void;
}

/** A session that can be invoked now, and the Pod to dial. */
export interface Location {
  record: SessionRecord;
  podUid: string;
  address: string;
}

export interface WaitOptions {
  timeoutMs: number;
  /** Ends the wait early, with its reason. */
  signal: AbortSignal;
}

export interface DirectoryOptions {
  client: KubeClient;
  sandboxes: SandboxSource;
  /** Dial Pods in 127.0.0.0/8; only a local cluster has such. */
  allowLoopbackPods: boolean;
  log: Log;
}

/** After this a session that exists and that the watch has not brought is looked for again. */
const unseenMs = 1_000;
const synchronizing = 'the sessions are still being read from kube-apiserver';

/** Where every session is, from memory; or why it cannot be invoked. */
export class Directory {
  readonly #sandboxes: SandboxSource;
  readonly #allowLoopback: boolean;
  readonly #pods: PodIndex;
  readonly #unknown: UnknownSessions;
  readonly #waiters = new Map<string, Set<() => void>>();
  readonly #unsubscribe: () => void;

  constructor({ client, sandboxes, allowLoopbackPods, log }: DirectoryOptions) {
    this.#sandboxes = sandboxes;
    this.#allowLoopback = allowLoopbackPods;
    const wake = (key: string) => this.#wake(key);
    this.#pods = new PodIndex({ client, log, onChange: wake });
    this.#unknown = new UnknownSessions(client);
    this.#unsubscribe = sandboxes.onChange(wake);
  }

  get probe(): Probe {
    return { name: 'session-directory', check: () => (this.#synced ? undefined : synchronizing) };
  }

  start(): void {
    this.#pods.start();
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    await this.#pods.stop();
  }

  /** The session of a name, whatever its state. */
  find(namespace: string, name: string): SessionRecord | undefined {
    return this.#sandboxes.get(namespace, name);
  }

  /** Where a session is, if it can be invoked now. */
  ifReady(namespace: string, name: string): Location | undefined {
    const found = this.#look(namespace, name);
    return found instanceof ApiError ? undefined : found;
  }

  /**
   * Where a session is as soon as it can be invoked. Woken by changes, never polling.
   * @throws ApiError NotFound, Gone, SessionSuspended, SessionFailed, UpstreamFailed (the Pod's address is refused),
   * ServiceUnavailable before the first sync, SessionNotReady after the time is over; the signal's reason when it aborts.
   */
  async waitUntilReady(namespace: string, name: string, { timeoutMs, signal }: WaitOptions): Promise<Location> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      signal.throwIfAborted();
      const remainingMs = deadline - performance.now();
      const found = this.#look(namespace, name);
      if (!(found instanceof ApiError)) return found;
      if (!hasReason(found, 'SessionNotReady', 'NotFound') || remainingMs <= 0) throw found;
      const missing = found.reason === 'NotFound';
      // Subscribed before anything is awaited, so that no change is missed.
      const change = this.#nextChange(`${namespace}/${name}`, {
        timeoutMs: missing ? Math.min(remainingMs, unseenMs) : remainingMs,
        signal,
      });
      try {
        // A session that was created a moment ago may be on its way to us: its creator knows already that it exists.
        if (missing && !(await this.#unknown.exists(namespace, name))) throw found;
        await change.happened;
      } finally {
        change.stop();
      }
    }
  }

  /** Where a session is now, or why it is nowhere. An error that waiting may cure is a SessionNotReady. */
  #look(namespace: string, name: string): Location | ApiError {
    if (!this.#synced) {
      return new ApiError('ServiceUnavailable', `${synchronizing}; try again`, { retryAfterSeconds: 1 });
    }
    const record = this.#sandboxes.get(namespace, name);
    if (record === undefined) return notFound(name);
    const problem = stateProblem(record);
    if (problem !== undefined) return problem;
    const pod = this.#pods.readyPodOf(record.sandboxUid);
    if (pod === undefined) return notReady(record);
    const refusal = addressProblem(pod.address, { allowLoopback: this.#allowLoopback });
    if (refusal === undefined) return { record, podUid: pod.uid, address: pod.address };
    return new ApiError('UpstreamFailed', `the session cannot be reached: the address of its Pod ${refusal}`);
  }

  get #synced(): boolean {
    return this.#sandboxes.synced && this.#pods.synced;
  }

  #wake(key: string): void {
    for (const wake of this.#waiters.get(key) ?? []) wake();
  }

  /** The next change of a session or its Pod, the end of the time or the abort, whichever is first. */
  #nextChange(key: string, { timeoutMs, signal }: WaitOptions): { happened: Promise<void>; stop: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, Math.max(0, timeoutMs));
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

/** Why a session's own state keeps it from being invoked. */
function stateProblem(record: SessionRecord): ApiError | undefined {
  const { spec, status } = record.session;
  switch (status?.phase) {
    case 'Terminating':
      return new ApiError('Gone', 'the session is being deleted; create a new one');
    case 'Failed': {
      const { reason, message } = failureOf(record);
      return new ApiError(
        'SessionFailed',
        `the session cannot run: ${reason}: ${message}; delete it and create another`,
      );
    }
    case 'Suspending':
    case 'Suspended':
      if (!spec.suspended) return notReady(record);
      return new ApiError(
        'SessionSuspended',
        'the session is suspended by its spec; set spec.suspended to false first',
      );
    default:
      return undefined;
  }
}

function notReady({ session }: SessionRecord): ApiError {
  const ready = session.status?.conditions?.find((condition) => condition.type === 'Ready');
  const because = ready === undefined || ready.status === 'True' ? '' : ` (${ready.reason})`;
  const message = `the session is ${session.status?.phase ?? 'Pending'}${because} and has no ready Pod; try again`;
  return new ApiError('SessionNotReady', message, { retryAfterSeconds: 1 });
}
