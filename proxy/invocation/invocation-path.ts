import type { Registry } from 'prom-client';
import type { KubeClient } from '../../apis/client/transport.ts';
import { systemNamespace } from '../../apis/names.ts';
import type { Log } from '../../apis/runtime/log.ts';
import type { Probe } from '../../apis/runtime/operations.ts';
import { Credentials } from './credentials.ts';
import { Directory, type SandboxSource } from './directory.ts';
import { createSandboxAgent, Invoker, type RequestInvocation, type UpgradeInvocation } from './invoke.ts';
import { KeyRing } from './keys.ts';
import { InvocationMetrics } from './metrics.ts';

const defaultReadyTimeoutMs = 30_000;
/** A command in a sandbox may run for long before it says anything. */
const defaultAnswerTimeoutMs = 3_600_000;

export interface InvocationPathOptions {
  client: KubeClient;
  /** The sessions; started and stopped by whoever gives them. */
  sandboxes: SandboxSource;
  /** Dial Pods in 127.0.0.0/8; only a local cluster has such. */
  allowLoopbackPods: boolean;
  registry: Registry;
  log: Log;
  /** How long a call waits for a session that is not ready yet; 30 s when absent. */
  readyTimeoutMs?: number;
  /** How long a sandbox may take until its answer begins; an hour when absent. */
  answerTimeoutMs?: number;
  /** Milliseconds since the epoch; the clock when absent. */
  now?: () => number;
}

/** Everything between an authorised request for a session and the program in its sandbox. */
export interface InvocationPath {
  keys: KeyRing;
  ready: readonly Probe[];
  start(): void;
  /** Stops watching and closes every connection to a sandbox; what is still in flight is cut off. */
  stop(): Promise<void>;
  /** See {@link Invoker.invoke}. */
  invoke(call: RequestInvocation): Promise<void>;
  /** See {@link Invoker.invokeUpgrade}. */
  invokeUpgrade(call: UpgradeInvocation): Promise<void>;
}

/** Builds the invocation path that every front runs, so that a call counts and behaves the same through each of them. */
export function createInvocationPath(options: InvocationPathOptions): InvocationPath {
  const { client, sandboxes, allowLoopbackPods, registry, log } = options;
  const now = options.now ?? Date.now;
  const dispatcher = createSandboxAgent();
  const keys = new KeyRing({ client, namespace: systemNamespace, log, now });
  const directory = new Directory({ client, sandboxes, allowLoopbackPods, log });
  const credentials = new Credentials({ keys, sandboxes, dispatcher, now });
  const invoker = new Invoker({
    directory,
    credentials,
    dispatcher,
    metrics: new InvocationMetrics(registry),
    readyTimeoutMs: options.readyTimeoutMs ?? defaultReadyTimeoutMs,
    answerTimeoutMs: options.answerTimeoutMs ?? defaultAnswerTimeoutMs,
  });
  return {
    keys,
    ready: [keys.probe, directory.probe],
    start: () => {
      keys.start();
      directory.start();
    },
    stop: async () => {
      credentials.stop();
      await Promise.all([keys.stop(), directory.stop(), dispatcher.destroy()]);
    },
    invoke: (call) => invoker.invoke(call),
    invokeUpgrade: (call) => invoker.invokeUpgrade(call),
  };
}
