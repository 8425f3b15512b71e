import type { KubeClient } from '../../../apis/client/transport.ts';
import { hasReason } from '../../../apis/machinery/errors.ts';
import type { KubeObject } from '../../../apis/machinery/meta.ts';
import { accounts, labels, sandboxApi, systemNamespace } from '../../../apis/names.ts';
import { newSandbox } from '../../../apis/v1alpha1/new-sandbox.ts';
import type { Sandbox } from '../../../apis/v1alpha1/sandbox.ts';
import type { AuthMode, CompleteSessionSpec, Endpoint } from '../../../apis/v1alpha1/types.ts';
import { until } from '../../support/until.ts';

export interface NewTestSession {
  name: string;
  endpoints: Endpoint[];
  authMode?: AuthMode;
  rootKey?: string;
  picodKey?: string;
  spec?: Partial<CompleteSessionSpec>;
  finalizers?: string[];
  /** When it was created: milliseconds since the epoch, the clock when absent. */
  createdAt?: number;
}

/** Writes as the API server's account, which the guard of session data lets pass where there is one. */
const asApiserver = {
  'impersonate-user': `system:serviceaccount:${systemNamespace}:${accounts.apiserver}`,
  'impersonate-group': 'system:masters',
};

/** Of a cluster's own scheduler there would be a word on each Pod, after which a call waits for seconds only. */
const noScheduler = { schedulerName: 'none' };

/** Sessions of one namespace whose kubelet is the test: their Pods get no node, and become ready when it says so. */
export class TestSessions {
  readonly #client: KubeClient;
  readonly #namespace: () => string;

  constructor(client: KubeClient, namespace: () => string) {
    this.#client = client;
    this.#namespace = namespace;
  }

  /** Creates a session as the API server would. */
  async create({
    name,
    endpoints,
    authMode = 'none',
    rootKey = '',
    picodKey = '',
    spec,
    finalizers,
    createdAt = Date.now(),
  }: NewTestSession): Promise<Sandbox> {
    const namespace = this.#namespace();
    const metadata = { name, namespace, ...(finalizers === undefined ? {} : { finalizers }) };
    const sandbox = newSandbox(
      {
        metadata,
        spec: {
          runtimeRef: { kind: 'CodeInterpreter', name: 'py' },
          idleTimeout: '15m0s',
          maxDuration: '1h0m0s',
          idleAction: 'Delete',
          suspended: false,
          ...spec,
        },
        runtime: {
          kind: 'CodeInterpreter',
          name: 'py',
          namespace,
          uid: 'runtime-uid',
          generation: 1,
          limits: { idleTimeout: '15m0s', maxDuration: '1h0m0s' },
          endpoints,
          authMode,
          podTemplate: {
            spec: { ...noScheduler, containers: [{ name: 'main', image: 'local/none' }] },
          },
        },
        user: { username: 'alice' },
        now: createdAt,
      },
      { rootKey, picodKey },
    );
    return await this.createSandbox(sandbox);
  }

  async createSandbox(sandbox: Sandbox): Promise<Sandbox> {
    return await this.#client.request<Sandbox>({
      method: 'POST',
      path: this.#path(''),
      body: sandbox,
      headers: asApiserver,
    });
  }

  async delete(name: string): Promise<void> {
    await this.#client.request({ method: 'DELETE', path: this.#path(`/${name}`), headers: asApiserver });
  }

  async patch(name: string, patch: object): Promise<void> {
    await this.#client.request({
      method: 'PATCH',
      path: this.#path(`/${name}`),
      contentType: 'application/merge-patch+json',
      body: patch,
      headers: asApiserver,
    });
  }

  /** Makes a session's Pod ready at an address. */
  async makeReady(name: string, { address = '127.0.0.1', ready = true } = {}): Promise<void> {
    const now = new Date().toISOString();
    const conditions = [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: now }];
    await this.setPodStatus(name, { phase: 'Running', podIP: address, podIPs: [{ ip: address }], conditions });
  }

  /** Sets the status of a session's Pod, as its kubelet would. */
  async setPodStatus(name: string, status: object): Promise<void> {
    const path = `/api/v1/namespaces/${this.#namespace()}/pods/${name}`;
    await until(`the Pod ${name}`, async () => await this.#isOfItsSandbox(name, path));
    await this.#client.request({
      method: 'PATCH',
      path: `${path}/status`,
      contentType: 'application/merge-patch+json',
      body: { status },
    });
  }

  /** Whether a Pod is there, and not that of a Sandbox of the same name that is gone. */
  async #isOfItsSandbox(name: string, path: string): Promise<boolean> {
    const [pod, sandbox] = await Promise.all([
      this.#client.requestRaw({ path }),
      this.#client.requestRaw({ path: this.#path(`/${name}`) }),
    ]);
    if (pod.status !== 200) return false;
    if (sandbox.status !== 200) return true;
    const { metadata } = JSON.parse(pod.body.toString()) as KubeObject;
    const { uid } = (JSON.parse(sandbox.body.toString()) as KubeObject).metadata;
    return metadata.ownerReferences?.some((owner) => owner.uid === uid) === true;
  }

  /** uid of a session's Pod. */
  async podUid(name: string): Promise<string> {
    const path = `/api/v1/namespaces/${this.#namespace()}/pods/${name}`;
    return (await this.#client.request<KubeObject>({ path })).metadata.uid ?? '';
  }

  /** Deletes a session's Pod without any grace. */
  async deletePod(name: string): Promise<void> {
    const path = `/api/v1/namespaces/${this.#namespace()}/pods/${name}`;
    await this.#client.request({ method: 'DELETE', path, query: { gracePeriodSeconds: '0' } });
  }

  /** A Pod with our label that no Sandbox controls. */
  async createForeignPod(name: string): Promise<KubeObject> {
    return await this.#client.request<KubeObject>({
      method: 'POST',
      path: `/api/v1/namespaces/${this.#namespace()}/pods`,
      body: {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, labels: { [labels.runtime]: 'py' } },
        spec: { ...noScheduler, containers: [{ name: 'main', image: 'local/none' }] },
      },
    });
  }

  #path(suffix: string): string {
    return `${sandboxApi.path}/namespaces/${this.#namespace()}/${sandboxApi.resource}${suffix}`;
  }
}

/** The namespace of the key Secrets, which a control plane without Sojourn does not have. */
export async function ensureSystemNamespace(client: KubeClient): Promise<void> {
  try {
    const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: systemNamespace } };
    await client.request({ method: 'POST', path: '/api/v1/namespaces', body });
  } catch (error) {
    // Who may not create it has an account in it.
    if (!hasReason(error, 'AlreadyExists', 'Forbidden')) throw error;
  }
}
