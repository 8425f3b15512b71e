import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { KubeClient } from '../../../apis/client/transport.ts';
import type { KubeList } from '../../../apis/machinery/meta.ts';
import { findCondition } from '../../../apis/machinery/meta.ts';
import { groupVersion, kind, poolApi, resource, sandboxApi } from '../../../apis/names.ts';
import type { SandboxWarmPool } from '../../../apis/v1alpha1/pool-template.ts';
import type { Sandbox } from '../../../apis/v1alpha1/sandbox.ts';
import type { Session, SessionSpec } from '../../../apis/v1alpha1/types.ts';
import { createRuntime } from '../../cluster/runtimes.ts';
import { accountUser, mayCall } from '../../cluster/session-users.ts';
import { onCore } from './cores.ts';

const upstreamMain = fileURLToPath(new URL('../upstream/main.ts', import.meta.url));

/** The runtimes of a workplace: a Ready Pod without a process, and a program that costs little. */
const images = { none: 'local/none', program: 'local/process' };
const account = 'agent';
const deadlineMs = 90_000;

/** A namespace for one benchmark, with two runtimes. */
export class Workplace {
  readonly client: KubeClient;
  readonly namespace: string;

  private constructor(client: KubeClient, namespace: string) {
    this.client = client;
    this.namespace = namespace;
  }

  /**
   * @param client the admin's.
   * @param core what the program of a session may run on; anything when undefined.
   */
  static async create(client: KubeClient, core?: number): Promise<Workplace> {
    const { metadata } = await client.request<{ metadata: { name: string } }>({
      method: 'POST',
      path: '/api/v1/namespaces',
      body: { apiVersion: 'v1', kind: 'Namespace', metadata: { generateName: 'bench-' } },
    });
    const workplace = new Workplace(client, metadata.name);
    await workplace.#createRuntime('none', { image: images.none });
    const command = onCore(core, [process.execPath, upstreamMain]);
    await workplace.#createRuntime('program', { image: images.program, command });
    // No Pod is admitted before its account is there.
    const serviceAccount = `/api/v1/namespaces/${metadata.name}/serviceaccounts/default`;
    await eventually('the namespace has its account', async () => {
      return (await client.requestRaw({ path: serviceAccount })).status === 200;
    });
    return workplace;
  }

  get sessions(): string {
    return `/apis/${groupVersion}/namespaces/${this.namespace}/${resource}`;
  }

  /** The collections in which the controllers' work shows. */
  get controlled(): string[] {
    const core = ['pods', 'services', 'events'].map((each) => `/api/v1/namespaces/${this.namespace}/${each}`);
    return [...core, this.sandboxes];
  }

  get sandboxes(): string {
    return `${sandboxApi.path}/namespaces/${this.namespace}/${sandboxApi.resource}`;
  }

  /** A runtime of Pods without a process, of which so many wait; resolves with their pool when all are Ready. */
  async createPool(name: string, size: number): Promise<SandboxWarmPool> {
    await this.#createRuntime(name, { image: images.none }, { warmPoolSize: size });
    return await this.fullPool(name);
  }

  /** The pool of a runtime, once as many wait as should. */
  async fullPool(runtime: string): Promise<SandboxWarmPool> {
    const path = `${poolApi.path}/namespaces/${this.namespace}/sandboxwarmpools`;
    return await eventually(`the pool of ${runtime} is full`, async () => {
      const { items } = await this.client.request<KubeList<SandboxWarmPool>>({ path });
      const pool = items.find(({ metadata }) => metadata.name?.startsWith(`${runtime}-`) === true);
      return pool?.status?.readyReplicas === pool?.spec.replicas ? pool : undefined;
    });
  }

  /** Creates a session and returns once kube-apiserver has said so. */
  async createSession(name: string, runtime: keyof typeof images, spec: Partial<SessionSpec> = {}): Promise<Session> {
    return await this.client.request<Session>({
      method: 'POST',
      path: this.sessions,
      body: {
        apiVersion: groupVersion,
        kind,
        metadata: { name },
        spec: { runtimeRef: { kind: 'CodeInterpreter', name: runtime }, ...spec },
      },
    });
  }

  async readySession(name: string): Promise<Session> {
    return await eventually(`session ${name} is ready`, async () => {
      const session = await this.client.request<Session>({ path: `${this.sessions}/${name}` });
      return isReady(session) ? session : undefined;
    });
  }

  /** A token of an account that may use sessions here, as kube-apiserver knows by then. */
  async token(): Promise<string> {
    const { client, namespace } = this;
    const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
    await client.request({ method: 'POST', path: accounts, body: { metadata: { name: account } } });
    await client.request({
      method: 'POST',
      path: `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`,
      body: {
        metadata: { name: account },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'sojourn-session-user' },
        subjects: [{ kind: 'ServiceAccount', name: account, namespace }],
      },
    });
    const user = accountUser(namespace, account);
    await eventually('the account may call sessions', () => mayCall(client, { user, namespace, verb: 'create' }));
    const { status } = await client.request<{ status: { token: string } }>({
      method: 'POST',
      path: `${accounts}/${account}/token`,
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
    });
    return status.token;
  }

  /** Removes the namespace and returns once it is gone, so that the next benchmark has the machine for itself. */
  async remove(): Promise<void> {
    const path = `/api/v1/namespaces/${this.namespace}`;
    await this.client.request({ method: 'DELETE', path });
    await eventually('the namespace is gone', async () => (await this.client.requestRaw({ path })).status === 404);
  }

  async #createRuntime(
    name: string,
    template: { image: string; command?: string[] },
    more: { warmPoolSize?: number } = {},
  ): Promise<void> {
    await createRuntime(this.client, this.namespace, { name, spec: { authMode: 'sojourn', template, ...more } });
  }
}

/** Whether the Ready condition, which Sandboxes and Sessions have alike, says so. */
export function isReady(object: Sandbox | Session): boolean {
  return findCondition(object.status?.conditions, 'Ready')?.status === 'True';
}

/** Asks until there is an answer; at most for 90 s. */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined | false>): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > deadline) throw new Error(`waited for 90 s in vain until ${what}`);
    await delay(50);
  }
}
