import type { Registry } from 'prom-client';
import type { KubeClient } from '../../apis/client/transport.ts';
import { systemNamespace } from '../../apis/names.ts';
import type { Log } from '../../apis/runtime/log.ts';
import type { Probe } from '../../apis/runtime/operations.ts';
import { ActivityTracker } from './activity/tracker.ts';
import { type AuditLog, noAudit } from './audit.ts';
import { Credentials } from './credentials.ts';
import { Directory, type Location, type SandboxSource, type WaitOptions } from './directory.ts';
import { defaultSettings, type InvocationSettings } from './flags.ts';
import { Invoker, type RequestInvocation, type UpgradeInvocation } from './invoke.ts';
import { KeyRing } from './keys/key-ring.ts';
import { Ledger, type Refusal } from './ledger.ts';
import { InFlight } from './limits.ts';
import { InvocationMetrics } from './metrics.ts';
import { createSandboxAgent } from './sandbox-agent.ts';
import { CredentialMetrics } from './token-metrics.ts';
import { Watchdog } from './watchdog.ts';

export interface InvocationPathOptions {
  client: KubeClient;
  /** The sessions; started and stopped by whoever gives them. */
  sandboxes: SandboxSource;
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
  const { client, sandboxes, allowLoopbackPods, registry, log } = options;
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
  const directory = new Directory({ client, sandboxes, allowLoopbackPods, log });
  const activity = new ActivityTracker({ client, sandboxes, registry, log, now });
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
    inFlight,
    ready: [keys.probe, directory.probe],
    start: () => {
      activity.start();
      keys.start();
      directory.start();
    },
    stop: async () => {
      credentials.stop();
      watchdog.stop();
      await Promise.all([activity.stop(), keys.stop(), directory.stop(), dispatcher.destroy()]);
    },
    waitUntilReady: (namespace, name, wait) => directory.waitUntilReady(namespace, name, wait),
    refuse: (refusal) => ledger.refuse(refusal),
    invoke: (call) => invoker.invoke(call),
    invokeUpgrade: (call) => invoker.invokeUpgrade(call),
  };
}
