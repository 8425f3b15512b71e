import { Informer } from '../../apis/client/informer.ts';
import type { KubeClient } from '../../apis/client/transport.ts';
import { hasReason } from '../../apis/machinery/errors.ts';
import type { Log } from '../../apis/runtime/log.ts';
import { type ResourceQuota, type SessionQuota, sessionQuotaOf } from './session-quota.ts';

/**
 * The quotas that limit sessions, by namespace. Followed by one watch; a quota that this process has written or read since
 * counts as it was then, so that charges one after the other do not meet in conflicts.
 */
export class QuotaIndex {
  readonly #client: KubeClient;
  readonly #informer: Informer<ResourceQuota, SessionQuota | undefined>;
  readonly #byNamespace = new Map<string, Map<string, SessionQuota>>();

  constructor({ client, log }: { client: KubeClient; log: Log }) {
    this.#client = client;
    this.#informer = new Informer<ResourceQuota, SessionQuota | undefined>({
      client,
      log,
      path: '/api/v1/resourcequotas',
      keep: sessionQuotaOf,
      onChange: ({ previous, current }) => {
        if (current !== undefined) this.#set(current);
        else if (previous !== undefined) this.#remove(previous);
      },
    });
  }

  get synced(): boolean {
    return this.#informer.synced;
  }

  start(): void {
    this.#informer.start();
  }

  async stop(): Promise<void> {
    await this.#informer.stop();
  }

  /** The quotas that limit the sessions of a namespace; mostly none. */
  of(namespace: string): SessionQuota[] {
    return [...(this.#byNamespace.get(namespace)?.values() ?? [])];
  }

  /** Takes note of a quota as kube-apiserver has just answered it. */
  saw(answered: ResourceQuota): void {
    const quota = sessionQuotaOf(answered);
    if (quota !== undefined) this.#set(quota);
  }

  /** The quota as kube-apiserver has it now; undefined when it does not limit sessions any more. */
  async reread(quota: SessionQuota): Promise<SessionQuota | undefined> {
    const current = await this.#read(quota);
    if (current === undefined) this.#remove(quota);
    else this.#set(current);
    return current;
  }

  async #read({ namespace, name }: SessionQuota): Promise<SessionQuota | undefined> {
    try {
      return sessionQuotaOf(await this.#client.request<ResourceQuota>({ path: quotaPath(namespace, name) }));
    } catch (error) {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  #set(quota: SessionQuota): void {
    const quotas = this.#byNamespace.get(quota.namespace) ?? new Map<string, SessionQuota>();
    const known = quotas.get(quota.name);
    // What the watch brings may be older than what was written here; resourceVersions of one resource can be compared.
    if (known !== undefined && BigInt(known.resourceVersion) > BigInt(quota.resourceVersion)) return;
    quotas.set(quota.name, quota);
    this.#byNamespace.set(quota.namespace, quotas);
  }

  #remove({ namespace, name }: SessionQuota): void {
    const quotas = this.#byNamespace.get(namespace);
    quotas?.delete(name);
    if (quotas?.size === 0) this.#byNamespace.delete(namespace);
  }
}

/** The path of one ResourceQuota. */
export function quotaPath(namespace: string, name: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/resourcequotas/${encodeURIComponent(name)}`;
}
