import { Registry } from 'prom-client';
import type { KubeClient } from '../../../apis/client/transport.ts';
import type { KubeObject, WatchEvent } from '../../../apis/machinery/meta.ts';
import { createLog } from '../../../apis/runtime/log.ts';
import type { Sandbox } from '../../../apis/v1alpha1/sandbox.ts';
import type { Session, SessionSpec } from '../../../apis/v1alpha1/types.ts';
import { Suspension } from '../../../proxy/invocation/suspension/suspension.ts';
import { SessionInformer } from '../../../proxy/session-source.ts';
import { callerToken, readySession, sessionsPath } from '../../support/caller.ts';
import { type TestCluster, useCluster } from '../../support/cluster.ts';
import { type Answer, https } from '../../support/http.ts';
import { until } from '../../support/until.ts';
import { TestClock } from '../activity/replica.ts';
import { Cleanup } from '../support/cleanup.ts';

/** How long a session of these suites must be unused; what the cluster's own processes see of it is never idle. */
export const idleMinutes = 10;

/** One more process that suspends what is idle and resumes what is wanted, with a clock that a test may move. */
export class SuspendingReplica {
  readonly clock: TestClock;
  readonly #informer: SessionInformer;
  readonly #suspension: Suspension;

  constructor(client: KubeClient, clock: TestClock) {
    const log = createLog({ write: () => undefined });
    this.clock = clock;
    this.#informer = new SessionInformer({ client, log });
    this.#suspension = new Suspension({
      client,
      sandboxes: this.#informer,
      isInUse: () => false,
      onWritten: () => undefined,
      registry: new Registry(),
      log,
      now: clock.now,
    });
    this.#suspension.start();
    this.#informer.start();
  }

  /** The session once the informer has it. */
  async sees(namespace: string, name: string): Promise<void> {
    await until(`the session ${name}`, () => this.#informer.get(namespace, name)?.session.status?.phase === 'Ready');
  }

  async stop(): Promise<void> {
    this.#suspension.stop();
    await this.#informer.stop();
  }
}

/** What suites about suspension share. */
export interface SuspensionWorkplace {
  readonly env: TestCluster;
  readonly namespace: string;
  /** A Ready session of our daemon that is suspended when idle. */
  ready(name: string, spec?: Partial<SessionSpec>): Promise<Session>;
  session(name: string): Promise<Session>;
  sandbox(name: string): Promise<Sandbox>;
  phase(name: string, phase: string): Promise<Session>;
  patch(name: string, body: object): Promise<Session>;
  /** Runs a command in a session, through the proxy or kube-apiserver. */
  run(name: string, command: string, front?: 'proxy' | 'kube-apiserver'): Promise<Answer>;
  /** Asks a session's daemon how it is. */
  health(name: string, front: 'proxy' | 'kube-apiserver'): Promise<Answer>;
  /** A replica whose clock is ahead of the idle timeout by the time it has seen the session; stopped after the test. */
  replica(clock?: TestClock): SuspendingReplica;
  /** Makes a session idle by the clock of replicas. */
  makeIdle(name: string, replicas: readonly SuspendingReplica[]): Promise<void>;
  /** As {@link makeIdle}, and waits until it is Suspended. */
  suspend(name: string, replicas: readonly SuspendingReplica[]): Promise<void>;
  /** The phases that a watch shows from now on, each once. */
  phases(name: string): Promise<{ seen: string[]; stop(): void }>;
  /** Keeps a session's Pod from going, so that it stays Suspending; the returned function lets it go. */
  holdPod(name: string): Promise<() => Promise<void>>;
  /** Waits until a Pod that is held is going. */
  podGoing(name: string): Promise<void>;
}

/** Call it inside of a suite. */
export function useSuspension(): SuspensionWorkplace {
  const env = useCluster();
  const space = env.namespace('suspension');
  const cleanup = new Cleanup();
  let token = '';
  before(async () => {
    token = await callerToken(env, space.name);
  });
  const path = (name: string) => `${sessionsPath(space.name)}/${name}`;
  const sandboxPath = (name: string) => `/apis/agents.x-k8s.io/v1beta1/namespaces/${space.name}/sandboxes/${name}`;
  const urlOf = (front: 'proxy' | 'kube-apiserver', at: string) =>
    `${front === 'proxy' ? env.cluster.proxyUrl : env.cluster.plane.server}${at}`;
  const session = async (name: string) => await env.client.request<Session>({ path: path(name) });
  const sandbox = async (name: string) => await env.client.request<Sandbox>({ path: sandboxPath(name) });
  const mergePatch = async <T>(at: string, body: object) =>
    await env.client.request<T>({ method: 'PATCH', path: at, contentType: 'application/merge-patch+json', body });
  const phase = async (name: string, wanted: string) => {
    let last: string | undefined;
    return await until(
      `${name} to be ${wanted}`,
      async () => {
        const current = await session(name);
        last = current.status?.phase;
        return last === wanted ? current : undefined;
      },
      { seen: () => last },
    );
  };
  const podPath = (name: string) => `/api/v1/namespaces/${space.name}/pods/${name}`;
  const makeIdle = async (name: string, replicas: readonly SuspendingReplica[]) => {
    await Promise.all(replicas.map(async (replica) => await replica.sees(space.name, name)));
    for (const clock of new Set(replicas.map((replica) => replica.clock))) clock.advance(2 * idleMinutes * 60_000);
    // Any change of the session makes a replica look at its clock again.
    await mergePatch(sandboxPath(name), { metadata: { annotations: { 'example.com/look': String(Math.random()) } } });
  };
  return {
    env,
    get namespace() {
      return space.name;
    },
    ready: async (name, spec) =>
      await readySession(env, space.name, {
        name,
        runtime: 'py',
        spec: { idleTimeout: `${idleMinutes}m`, idleAction: 'Suspend', ...spec },
      }),
    session,
    sandbox,
    phase,
    patch: async (name, body) => await mergePatch<Session>(path(name), body),
    run: async (name, command, front = 'proxy') =>
      await https({
        url: urlOf(front, `${path(name)}/proxy/api/execute`),
        ca: env.ca,
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ command: ['sh', '-c', command] }),
      }),
    health: async (name, front) =>
      await https({
        url: urlOf(front, `${path(name)}/proxy/health`),
        ca: env.ca,
        headers: { authorization: `Bearer ${token}` },
      }),
    replica: (clock = new TestClock()) => cleanup.add(new SuspendingReplica(env.asAccount('sojourn-proxy'), clock)),
    makeIdle,
    suspend: async (name, replicas) => {
      await makeIdle(name, replicas);
      await phase(name, 'Suspended');
    },
    phases: async (name) => {
      const abort = new AbortController();
      const seen: string[] = [];
      const stream = await env.client.stream({
        path: sessionsPath(space.name),
        query: { watch: 'true', fieldSelector: `metadata.name=${name}` },
        signal: abort.signal,
      });
      let rest = '';
      stream.body.on('error', () => undefined);
      stream.body.on('data', (chunk: Buffer) => {
        const lines = (rest + chunk.toString('utf8')).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          const shown = (JSON.parse(line) as WatchEvent<Session>).object.status?.phase ?? '';
          if (seen.at(-1) !== shown) seen.push(shown);
        }
      });
      await until('the watch to begin', () => seen.length > 0);
      return { seen, stop: () => abort.abort() };
    },
    holdPod: async (name) => {
      const pod = podPath(name);
      await mergePatch(pod, { metadata: { finalizers: ['example.com/hold'] } });
      return async () => {
        await mergePatch(pod, { metadata: { finalizers: null } });
      };
    },
    podGoing: async (name) => {
      await until(`the Pod ${name} to be going`, async () => {
        const { metadata } = await env.client.request<KubeObject>({ path: podPath(name) });
        return metadata.deletionTimestamp !== undefined;
      });
    },
  };
}
