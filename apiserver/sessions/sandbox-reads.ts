import type { KubeClient } from '../../apis/client/transport.ts';
import type { KubeList, ListMeta } from '../../apis/machinery/meta.ts';
import { labels, sandboxApi } from '../../apis/names.ts';
import { projectSession } from '../../apis/v1alpha1/projection.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import { sandboxesPath, sandboxPath } from '../../apis/v1alpha1/sandbox-paths.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { SessionCache } from '../watch/session-cache.ts';
import type { ListOptions } from './list-options.ts';
import { notFound, translateUpstreamError } from './upstream-errors.ts';

/** Sessions of a list, with the list's own metadata. */
export interface SessionPage {
  metadata: ListMeta;
  items: Session[];
}

export interface SandboxReadsOptions {
  client: KubeClient;
  cache: SessionCache;
}

/** Sessions as kube-apiserver has their Sandboxes; from memory only where any version will do. */
export class SandboxReads {
  readonly #options: SandboxReadsOptions;

  constructor(options: SandboxReadsOptions) {
    this.#options = options;
  }

  /**
   * @param resourceVersion "0" takes any version there is; everything else is as fresh as kube-apiserver.
   * @throws ApiError NotFound, and whatever kube-apiserver refuses.
   */
  async get(namespace: string, name: string, resourceVersion: string | undefined): Promise<Session> {
    const cached = resourceVersion === '0' ? this.#options.cache.get(namespace, name) : undefined;
    // What the cache does not have may be newer than the cache.
    return cached?.session ?? projectSession(await this.sandbox(namespace, name));
  }

  async list({ namespace, selection, ...page }: ListOptions): Promise<SessionPage> {
    // Only "any version will do" is answered from memory; everything else must be as fresh as kube-apiserver.
    if (page.resourceVersion === '0' && page.continue === undefined && page.resourceVersionMatch !== 'Exact') {
      const items = this.#options.cache.list({ namespace, name: selection.name }).filter(selection.matches);
      return { metadata: { resourceVersion: String(this.#options.cache.resourceVersion) }, items };
    }
    const list = await this.#request<KubeList<Sandbox>>({
      path: namespace === undefined ? `${sandboxApi.path}/${sandboxApi.resource}` : sandboxesPath(namespace),
      query: { ...selection.upstream, ...page },
    });
    // Upstream counts what the marker label selects, but only without a selector would it say so; so no count at all.
    const { remainingItemCount: _ofSandboxes, ...metadata } = list.metadata;
    return { metadata, items: list.items.map(projectSession).filter(selection.matches) };
  }

  /**
   * The session-bearing Sandbox of that name, live.
   * @throws ApiError NotFound.
   */
  async sandbox(namespace: string, name: string): Promise<Sandbox> {
    const sandbox = await this.#request<Sandbox>({ path: sandboxPath(namespace, name) });
    if (sandbox.metadata.labels?.[labels.session] !== 'true') throw notFound(name);
    return sandbox;
  }

  async #request<T>(request: Parameters<KubeClient['request']>[0]): Promise<T> {
    try {
      return await this.#options.client.request<T>(request);
    } catch (error) {
      throw translateUpstreamError(error);
    }
  }
}
