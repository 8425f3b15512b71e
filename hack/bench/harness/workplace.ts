import { setTimeout as delay } from 'node:timers/promises';
import type { KubeClient } from '../../../apis/client/transport.ts';
import { findCondition } from '../../../apis/machinery/meta.ts';
import { daemonImage, groupVersion, resource, runtimeApi, sandboxApi } from '../../../apis/names.ts';
import type { Sandbox } from '../../../apis/v1alpha1/sandbox.ts';
import type { Session } from '../../../apis/v1alpha1/types.ts';

/** The runtimes of a workplace: a Ready Pod without a process, and the daemon. */
const images = { none: 'local/none', daemon: `${daemonImage}:local` };
const account = 'agent';
const deadlineMs = 30_000;

/** A namespace for one benchmark, with two runtimes. */
export class Workplace {
  readonly client: KubeClient;
  readonly namespace: string;

  private constructor(client: KubeClient, namespace: string) {
    this.client = client;
    this.namespace = namespace;
  }

  /** @param client the admin's. */
  static async create(client: KubeClient): Promise<Workplace> {
    const { metadata } = await client.request<{ metadata: { name: string } }>({
      method: 'POST',
      path: '/api/v1/namespaces',
      body: { apiVersion: 'v1', kind: 'Namespace', metadata: { generateName: 'bench-' } },
    });
    const workplace = new Workplace(client, metadata.name);
    for (const [name, image] of Object.entries(images)) await workplace.#createRuntime(name, image);
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

  get sandboxes(): string {
    return `${sandboxApi.path}/namespaces/${this.namespace}/${sandboxApi.resource}`;
  }

  /** Creates a session and returns once kube-apiserver has said so. */
  async createSession(name: string, runtime: keyof typeof images): Promise<Session> {
    return await this.client.request<Session>({
      method: 'POST',
      path: this.sessions,
      body: { metadata: { name }, spec: { runtimeRef: { kind: 'CodeInterpreter', name: runtime } } },
    });
  }

  async readySession(name: string): Promise<Session> {
    return await eventually(`session ${name} is ready`, async () => {
      const session = await this.client.request<Session>({ path: `${this.sessions}/${name}` });
      return isReady(session) ? session : undefined;
    });
  }

  /** A token of an account that may use sessions here. */
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
    const { status } = await client.request<{ status: { token: string } }>({
      method: 'POST',
      path: `${accounts}/${account}/token`,
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
    });
    return status.token;
  }

  async remove(): Promise<void> {
    await this.client.request({ method: 'DELETE', path: `/api/v1/namespaces/${this.namespace}` });
  }

  async #createRuntime(name: string, image: string): Promise<void> {
    await this.client.request({
      method: 'POST',
      path: `${runtimeApi.path}/namespaces/${this.namespace}/codeinterpreters`,
      body: {
        apiVersion: runtimeApi.groupVersion,
        kind: 'CodeInterpreter',
        metadata: { name },
        spec: { authMode: 'sojourn', template: { image } },
      },
    });
  }
}

/** Whether the Ready condition, which Sandboxes and Sessions have alike, says so. */
export function isReady(object: Sandbox | Session): boolean {
  return findCondition(object.status?.conditions, 'Ready')?.status === 'True';
}

/** Asks until there is an answer; at most for 30 s. */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined | false>): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > deadline) throw new Error(`waited for 30 s in vain until ${what}`);
    await delay(50);
  }
}
