import type { Runtime } from '../../apis/agentcube/runtime.ts';
import type { RuntimeStatus } from '../../apis/agentcube/runtime-status.ts';
import { tookPlace } from '../../apis/client/fenced-write.ts';
import { type KubeClient, patchTypes } from '../../apis/client/transport.ts';
import { hasReason } from '../../apis/machinery/errors.ts';
import type { KubeObject } from '../../apis/machinery/meta.ts';
import { accounts, annotations, poolApi } from '../../apis/names.ts';
import { type DesiredPool, newTemplate, newWarmPool, type SandboxWarmPool } from '../../apis/v1alpha1/pool-template.ts';
import type { KnownPool } from './pool-plan.ts';
import { type RuntimeView, runtimePath } from './runtime-index.ts';

/** Writes pools, templates and the status of runtimes; each write is fenced, and false tells that another one came first. */
export class PoolWriter {
  readonly #client: KubeClient;

  constructor(client: KubeClient) {
    this.#client = client;
  }

  /** Creates a pool and then its template, which the pool controller waits for. */
  async createPool(runtime: Runtime, desired: DesiredPool): Promise<boolean> {
    const pool = newWarmPool(runtime, desired);
    const created = await this.#post<SandboxWarmPool>(collection(runtime.namespace, 'pool'), pool);
    if (created === undefined) return false;
    await this.createTemplate(runtime, created, desired);
    return true;
  }

  async createTemplate(runtime: Runtime, pool: KubeObject, desired: DesiredPool): Promise<void> {
    await this.#post(collection(runtime.namespace, 'template'), newTemplate(runtime, pool, desired));
  }

  /** Makes an older pool of the same sandboxes the current one: record and size in one write, and never fewer. */
  async renewPool(namespace: string, pool: KnownPool, { record }: DesiredPool): Promise<boolean> {
    return await tookPlace(
      this.#client.request({
        method: 'PATCH',
        path: `${collection(namespace, 'pool')}/${pool.name}`,
        query: { fieldManager: accounts.apiserver },
        contentType: patchTypes.merge,
        body: {
          metadata: {
            uid: pool.uid,
            resourceVersion: pool.resourceVersion,
            annotations: { [annotations.pool]: JSON.stringify(record) },
          },
          ...(record.size > pool.record.size ? { spec: { replicas: Math.max(record.size, pool.replicas) } } : {}),
        },
      }),
    );
  }

  /** Deletes a pool as it was seen. The garbage collector deletes what it owns, with preconditions. */
  async deletePool(namespace: string, { name, uid, resourceVersion }: KnownPool): Promise<boolean> {
    return await tookPlace(
      this.#client.request({
        method: 'DELETE',
        path: `${collection(namespace, 'pool')}/${name}`,
        body: {
          kind: 'DeleteOptions',
          apiVersion: 'v1',
          propagationPolicy: 'Background',
          preconditions: { uid, resourceVersion },
        },
      }),
    );
  }

  /** Writes the status of a runtime that is as it was seen. */
  async writeStatus({ runtime, resourceVersion }: RuntimeView, status: RuntimeStatus): Promise<boolean> {
    return await tookPlace(
      this.#client.request({
        method: 'PATCH',
        path: `${runtimePath(runtime)}/status`,
        query: { fieldManager: accounts.apiserver },
        contentType: patchTypes.merge,
        body: { metadata: { uid: runtime.uid, resourceVersion }, status },
      }),
    );
  }

  /** The created object; undefined when one of that name is there. */
  async #post<T extends KubeObject>(path: string, body: T): Promise<T | undefined> {
    try {
      return await this.#client.request<T>({ method: 'POST', path, query: { fieldManager: accounts.apiserver }, body });
    } catch (error) {
      if (hasReason(error, 'AlreadyExists')) return undefined;
      throw error;
    }
  }
}

function collection(namespace: string, part: 'pool' | 'template'): string {
  return `${poolApi.path}/namespaces/${encodeURIComponent(namespace)}/${poolApi[part].resource}`;
}
