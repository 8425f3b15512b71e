import type { KubeClient } from '../../apis/client/transport.ts';
import { type KubeList, keyOf, type ListMeta } from '../../apis/machinery/meta.ts';
import { parseResourceVersion, readResourceVersion } from '../../apis/machinery/query-values.ts';
import { labels, sandboxApi } from '../../apis/names.ts';
import { projectSession } from '../../apis/v1alpha1/projection.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import { sandboxesPath, sandboxPath } from '../../apis/v1alpha1/sandbox-paths.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { SessionCache } from '../watch/session-cache.ts';
import type { ListOptions } from './list-options.ts';
import { listPages } from './list-pages.ts';
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

/** Sessions as kube-apiserver has their Sandboxes; from memory only where it is as new as was asked for. */
export class SandboxReads {
  readonly #options: SandboxReadsOptions;

  constructor(options: SandboxReadsOptions) {
    this.#options = options;
  }

  /**
   * @param resourceVersion as the client sent it: none, as fresh as kube-apiserver; "0", any; else at least that one.
   * @throws ApiError NotFound, Unknown for what is no version, Timeout for one that kube-apiserver does not have yet.
   */
  async get(namespace: string, name: string, resourceVersion: string | undefined): Promise<Session> {
    const version = readResourceVersion(resourceVersion);
    const { cache } = this.#options;
    const cached = version !== undefined && version <= cache.resourceVersion ? cache.get(namespace, name) : undefined;
    // What the cache does not have may be newer than the cache.
    return cached?.session ?? projectSession(await this.sandbox(namespace, name, resourceVersion));
  }

  /** @throws ApiError BadRequest, Expired, Timeout and whatever else kube-apiserver refuses. */
  async list(options: ListOptions): Promise<SessionPage> {
    const cached = this.#cached(options);
    if (cached !== undefined) return cached;
    const { namespace, selection } = options;
    const path = namespace === undefined ? `${sandboxApi.path}/${sandboxApi.resource}` : sandboxesPath(namespace);
    const page = await listPages(options, (query) =>
      this.#request<KubeList<Sandbox>>({ path, query: { ...selection.upstream, ...query } }),
    );
    const { items, resourceVersion, continue: next = '' } = page;
    const remaining = next === '' ? undefined : this.#remaining(options, items.at(-1));
    return {
      metadata: {
        resourceVersion,
        continue: next,
        ...(remaining === undefined ? {} : { remainingItemCount: remaining }),
      },
      items,
    };
  }

  /**
   * The session-bearing Sandbox of that name, live.
   * @throws ApiError NotFound.
   */
  async sandbox(namespace: string, name: string, resourceVersion?: string): Promise<Sandbox> {
    const sandbox = await this.#request<Sandbox>({ path: sandboxPath(namespace, name), query: { resourceVersion } });
    if (sandbox.metadata.labels?.[labels.session] !== 'true') throw notFound(name);
    return sandbox;
  }

  /** The answer from memory, if that is as new as was asked for; undefined else. */
  #cached({ namespace, selection, limit, ...page }: ListOptions): SessionPage | undefined {
    const { cache } = this.#options;
    const { resourceVersion, resourceVersionMatch } = page;
    if (resourceVersion === undefined || page.continue !== undefined || resourceVersionMatch === 'Exact')
      return undefined;
    const isAny = resourceVersion === '0';
    // With a limit and no match, a version means exactly that one.
    if (!isAny && limit !== undefined && resourceVersionMatch === undefined) return undefined;
    // What is no version is kube-apiserver's to refuse.
    const version = parseResourceVersion(resourceVersion);
    if (version === undefined || version > cache.resourceVersion) return undefined;
    const items = cache.list({ namespace, name: selection.name }).filter(selection.matches);
    // kube-apiserver ignores the limit of a list at any version, too.
    if (!isAny && limit !== undefined && items.length > limit) return undefined;
    return { metadata: { resourceVersion: String(cache.resourceVersion), continue: '' }, items };
  }

  /** How many follow, as far as this process knows; kube-apiserver tells it where nothing is selected. */
  #remaining({ namespace, selection }: ListOptions, last: Session | undefined): number | undefined {
    if (!selection.isEmpty || last === undefined) return undefined;
    const key = keyOf(last);
    const following = this.#options.cache
      .list({ namespace, name: undefined })
      .filter((session) => keyOf(session) > key);
    return Math.max(1, following.length);
  }

  async #request<T>(request: Parameters<KubeClient['request']>[0]): Promise<T> {
    try {
      return await this.#options.client.request<T>(request);
    } catch (error) {
      throw translateUpstreamError(error);
    }
  }
}
