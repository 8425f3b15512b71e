import type { Registry } from 'prom-client';
import type { KubeClient } from '../../apis/client/transport.ts';
import { systemNamespace } from '../../apis/names.ts';
import type { Log } from '../../apis/runtime/log.ts';
import type { Probe } from '../../apis/runtime/operations.ts';
import { ActivityTracker } from './activity/tracker.ts';
import { type AuditLog, noAudit } from './audit.ts';
import { createBufferCollection } from './buffer-collection.ts';
import { Credentials } from './credentials.ts';
import { Directory, type Location, type WaitOptions } from './directory.ts';
import { Chronicle, type TransitionSource } from './endings/chronicle.ts';
import { FailureRecorder } from './endings/failure-recorder.ts';
import { EndedSessions } from './endings/tombstones.ts';
import { defaultSettings, type InvocationSettings } from './flags.ts';
import { Invoker, type RequestInvocation, type UpgradeInvocation } from './invoke.ts';
import { KeyRing } from './keys/key-ring.ts';
import { Ledger, type Refusal } from './ledger.ts';
import { InFlight } from './limits.ts';
import { InvocationMetrics } from './metrics.ts';
import type { PodIndex } from './pods.ts';
import { createSandboxAgent } from './sandbox-agent.ts';
import type { SandboxSource } from './sandbox-source.ts';
import type { SessionRecord } from './session-record.ts';
import { Suspension } from './suspension/suspension.ts';
import { CredentialMetrics } from './token-metrics.ts';
import { Watchdog } from './watchdog.ts';

export interface InvocationPathOptions {
  client: KubeClient;
  /** The sessions; started and stopped by whoever gives them. */
  sandboxes: SandboxSource;
  /** What happens to them. */
  transitions: TransitionSource;
  /** Dial Pods in 127.0.0.0/8; only a local cluster has such. */
  allowLoopbackPods: boolean;
  registry: Registry;
  log: Log;
  /** Where the key Secrets are; Sojourn's own namespace when absent. */
  keyNamespace?: string;
  /** Limits and times; those of the flags' defaults where absent. */
  settings?: Partial<InvocationSettings>;
  /** Where finished calls are written; nowhere when absent. */
  audit?: AuditLog;
  /** Milliseconds since the epoch; the clock when absent. */
  now?: () => number;
}

/** Everything between an authorised request for a session and the program in its sandbox. */
export interface InvocationPath {
  /** Keeps sessions alive that are in use. */
  activity: ActivityTracker;
  keys: KeyRing;
  /** Tells what happens to sessions in Events. */
  chronicle: Pick<Chronicle, 'created' | 'changed' | 'deleted'>;
  /** Why sessions are no more. */
  ended: EndedSessions;
  /** The Pods of sessions, and of the sandboxes that wait in pools. */
  pods: Pick<PodIndex, 'podOf'>;
  /** The places of calls in flight. */
  inFlight: InFlight;
  ready: readonly Probe[];
  start(): void;
  /** Stops watching and closes every connection to a sandbox; what is still in flight is cut off. */
  stop(): Promise<void>;
  /** See {@link Directory.waitUntilReady}. */
  waitUntilReady(namespace: string, name: string, options: WaitOptions): Promise<Location>;
  /** See {@link Ledger.refuse}. */
  refuse(refusal: Refusal): void;
  /** See {@link Invoker.invoke}. */
  invoke(call: RequestInvocation): Promise<void>;
  /** See {@link Invoker.invokeUpgrade}. */
  invokeUpgrade(call: UpgradeInvocation): Promise<void>;
}

/** Builds the invocation path that every front runs, so that a call counts and behaves the same through each of them. */
export function createInvocationPath(options: InvocationPathOptions): InvocationPath {
  const { client, sandboxes, transitions, allowLoopbackPods, registry, log } = options;
  const now = options.now ?? Date.now;
  const settings = { ...defaultSettings, ...options.settings };
  const dispatcher = createSandboxAgent();
  const keys = new KeyRing({
    client,
    namespace: options.keyNamespace ?? systemNamespace,
    log,
    now,
    times: settings.keyTimes,
  });
  const ended = new EndedSessions({ client, log });
  const chronicle = new Chronicle({ client, transitions, ended, log, now });
  const activity = new ActivityTracker({ client, sandboxes, registry, log, now });
  const isInUse = (key: string) => activity.isInUse(key);
  const onWritten = ({ session }: SessionRecord) => chronicle.changed(session);
  const suspension = new Suspension({ client, sandboxes, isInUse, onWritten, registry, log, now });
  const directory = new Directory({ client, sandboxes, ended, wakeup: suspension, allowLoopbackPods, log });
  const failures = new FailureRecorder({
    client,
    sandboxes,
    pods: directory.pods,
    log,
    onSeen: (record, failure) => chronicle.failing(record, failure),
    onRecorded: (record, failure) => chronicle.failed(record, failure),
  });
  const credentials = new Credentials({ keys, sandboxes, dispatcher, metrics: new CredentialMetrics(registry), now });
  const patience = { request: settings.request, upgrade: settings.upgrade };
  const watchdog = new Watchdog(Object.values(patience));
  const inFlight = new InFlight(settings.limits);
  const ledger = new Ledger({
    inFlight,
    watchdog,
    patience,
    metrics: new InvocationMetrics(registry),
    audit: options.audit ?? noAudit,
    onBytes: createBufferCollection(),
  });
  const { readyTimeoutMs, answerTimeoutMs } = settings;
  const invoker = new Invoker({
    directory,
    credentials,
    dispatcher,
    activity,
    ledger,
    readyTimeoutMs,
    answerTimeoutMs,
  });
  return {
    activity,
    keys,
    chronicle,
    ended,
    pods: directory.pods,
    inFlight,
    ready: [keys.probe, directory.probe],
    start: () => {
      activity.start();
      suspension.start();
      chronicle.start();
      failures.start();
      keys.start();
      directory.start();
    },
    stop: async () => {
      credentials.stop();
      watchdog.stop();
      suspension.stop();
      await Promise.all([
        ...[activity.stop(), chronicle.stop(), failures.stop()],
        ...[keys.stop(), directory.stop(), dispatcher.destroy()],
      ]);
    },
    waitUntilReady: (namespace, name, wait) => directory.waitUntilReady(namespace, name, wait),
    refuse: (refusal) => ledger.refuse(refusal),
    invoke: (call) => invoker.invoke(call),
    invokeUpgrade: (call) => invoker.invokeUpgrade(call),
  };
}
