import type { KubeResponse } from '../../../apis/client/transport.ts';
import type { KubeObject, OwnerReference } from '../../../apis/machinery/meta.ts';
import { groupVersion, kind } from '../../../apis/names.ts';
import type { Sandbox } from '../../../apis/v1alpha1/sandbox.ts';
import type { Session, SessionSpec } from '../../../apis/v1alpha1/types.ts';
import { sessionsPath } from '../../support/caller.ts';
import type { TestCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';

export const hold = 'x.io/hold';

/** The collector learns of a resource within half a minute, and tries again with growing pauses. */
export const collectorMs = 90_000;

/** Objects that own and are owned, in one namespace. */
export class Collected {
  readonly #env: TestCluster;
  readonly #namespace: () => string;

  constructor(env: TestCluster, namespace: () => string) {
    this.#env = env;
    this.#namespace = namespace;
  }

  session(name: string): string {
    return `${sessionsPath(this.#namespace())}/${name}`;
  }

  sandbox(name: string): string {
    return `/apis/agents.x-k8s.io/v1beta1/namespaces/${this.#namespace()}/sandboxes/${name}`;
  }

  pod(name: string): string {
    return `/api/v1/namespaces/${this.#namespace()}/pods/${name}`;
  }

  configMap(name: string): string {
    return `/api/v1/namespaces/${this.#namespace()}/configmaps/${name}`;
  }

  /** A session that the collector knows the owner of, if it has one; its Pod is running unless `spec.suspended`. */
  async createSession(name: string, metadata: object = {}, spec: Partial<SessionSpec> = {}): Promise<Session> {
    const body = {
      apiVersion: groupVersion,
      kind,
      metadata: { name, ...metadata },
      spec: { ...spec, runtimeRef: { kind: 'CodeInterpreter', name: 'none' } },
    };
    const path = sessionsPath(this.#namespace());
    const created = await this.#env.client.request<Session>({ method: 'POST', path, body });
    const rest = spec.suspended === true ? 'Suspended' : 'Ready';
    await until(
      `session ${name} to be ${rest}`,
      async () => (await this.read<Session>(this.session(name)))?.status?.phase === rest,
    );
    if ('ownerReferences' in metadata) await this.heard(path, body);
    return created;
  }

  /** A ConfigMap that the collector knows the owner of, if it has one. */
  async createConfigMap(name: string, metadata: object = {}): Promise<KubeObject> {
    const path = `/api/v1/namespaces/${this.#namespace()}/configmaps`;
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata } };
    const created = await this.#env.client.request<KubeObject>({ method: 'POST', path, body });
    if ('ownerReferences' in metadata) await this.heard(path, body);
    return created;
  }

  /**
   * Resolves when the collector has heard of everything that was created in a collection until now, as is seen by
   * another of the kind, which nobody owns: it hears of objects in their order, and lets none live without its owner.
   * An owner that is deleted before that goes alone, and what it owned goes after it, whatever was asked for.
   */
  async heard(collection: string, manifest: object): Promise<void> {
    const nobody = { apiVersion: 'v1', kind: 'ConfigMap', name: 'nobody', uid: 'nobody' };
    const metadata = { generateName: 'nobodys-', ownerReferences: [nobody] };
    const body = { ...manifest, metadata };
    const created = await this.#env.client.request<KubeObject>({ method: 'POST', path: collection, body });
    await this.gone(`${collection}/${created.metadata.name}`);
  }

  /** {@link heard}, of Pods. */
  async heardOfPods(): Promise<void> {
    const spec = { schedulerName: 'nobody', containers: [{ name: 'main', image: 'local/none' }] };
    await this.heard(`/api/v1/namespaces/${this.#namespace()}/pods`, { apiVersion: 'v1', kind: 'Pod', spec });
  }

  /** undefined when it is not there. */
  async read<T extends KubeObject = Sandbox>(path: string): Promise<T | undefined> {
    const answer = await this.#env.client.requestRaw({ path });
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw new Error(`${path}: ${answer.body.toString('utf8')}`);
    return JSON.parse(answer.body.toString('utf8')) as T;
  }

  async delete(path: string, propagationPolicy?: 'Foreground' | 'Background' | 'Orphan'): Promise<KubeResponse> {
    const body = propagationPolicy === undefined ? {} : { propagationPolicy };
    return await this.#env.client.requestRaw({ method: 'DELETE', path, body });
  }

  async patch(path: string, body: object): Promise<void> {
    await this.#env.client.request({ method: 'PATCH', path, contentType: 'application/merge-patch+json', body });
  }

  async release(path: string): Promise<void> {
    await this.patch(path, { metadata: { finalizers: null } });
  }

  async gone(path: string): Promise<void> {
    let seen: KubeObject | undefined;
    await until(
      `${path} to be gone`,
      async () => {
        seen = await this.read(path);
        return seen === undefined;
      },
      { deadlineMs: collectorMs, seen: () => seen?.metadata },
    );
  }

  async terminating(path: string): Promise<KubeObject> {
    return await until(
      `${path} to be terminating`,
      async () => {
        const object = await this.read(path);
        return object?.metadata.deletionTimestamp === undefined ? undefined : object;
      },
      { deadlineMs: collectorMs },
    );
  }

  async disowned(path: string): Promise<void> {
    let seen: KubeObject | undefined;
    await until(
      `${path} to have no owner`,
      async () => {
        seen = await this.read(path);
        return seen !== undefined && seen.metadata.ownerReferences === undefined;
      },
      { deadlineMs: collectorMs, seen: () => seen?.metadata },
    );
  }
}

/** A reference to an owner, which keeps that from going first. */
export function ownedBy(owner: KubeObject | Session): { ownerReferences: OwnerReference[] } {
  const { name = '', uid = '' } = owner.metadata;
  const isSession = owner.apiVersion === groupVersion;
  const [apiVersion, ownerKind] = isSession ? [groupVersion, kind] : ['v1', 'ConfigMap'];
  return { ownerReferences: [{ apiVersion, kind: ownerKind, name, uid, blockOwnerDeletion: true }] };
}
