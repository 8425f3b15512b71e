import type { KubeClient } from '../../apis/client/transport.ts';
import { ApiError, hasReason } from '../../apis/machinery/errors.ts';
import type { KubeList, Status } from '../../apis/machinery/meta.ts';
import { group, labels, resource, sandboxApi } from '../../apis/names.ts';
import { projectSession } from '../../apis/v1alpha1/projection.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { sessionUid } from '../../apis/v1alpha1/uid.ts';
import type { SessionCache } from '../watch/session-cache.ts';
import type { SessionChange } from './change.ts';
import { conflict } from './conflict.ts';
import type { CreatedSession, CreateOptions, SessionCreation } from './creation.ts';
import type { DecodedSession } from './decode.ts';
import type { DeleteOptions } from './delete-options.ts';
import type { Deletion, DryRun, ListOptions, SessionPage, SessionStorage } from './storage.ts';
import { type ChangedSession, SessionUpdates } from './updates.ts';
import { translateUpstreamError } from './upstream-errors.ts';

/** How often a delete is tried again when its Sandbox changed in between. */
const deleteAttempts = 5;

export interface SandboxStorageOptions {
  client: KubeClient;
  cache: SessionCache;
  creation: SessionCreation;
  now: () => number;
}

/** Sessions as annotations on Sandboxes: one Session is one Sandbox of the same namespace and name. */
export class SandboxStorage implements SessionStorage {
  readonly #options: SandboxStorageOptions;
  readonly #updates: SessionUpdates;
  readonly #creation: SessionCreation;

  constructor(options: SandboxStorageOptions) {
    this.#options = options;
    const { client, now, creation } = options;
    this.#creation = creation;
    this.#updates = new SessionUpdates({ client, now, read: (namespace, name) => this.#read(namespace, name) });
  }

  async get(namespace: string, name: string, resourceVersion: string | undefined): Promise<Session> {
    const cached = resourceVersion === '0' ? this.#options.cache.get(namespace, name) : undefined;
    // What the cache does not have may be newer than the cache.
    return cached?.session ?? projectSession(await this.#read(namespace, name));
  }

  async list({ namespace, selection, ...page }: ListOptions): Promise<SessionPage> {
    // Only "any version will do" is answered from memory; everything else must be as fresh as kube-apiserver.
    if (page.resourceVersion === '0' && page.continue === undefined && page.resourceVersionMatch !== 'Exact') {
      const items = this.#options.cache.list({ namespace, name: selection.name }).filter(selection.matches);
      return { metadata: { resourceVersion: String(this.#options.cache.resourceVersion) }, items };
    }
    const list = await this.#request<KubeList<Sandbox>>({
      path: namespace === undefined ? `${sandboxApi.path}/${sandboxApi.resource}` : collectionPath(namespace),
      query: { ...selection.upstream, ...page },
    });
    // Upstream counts what the marker label selects, but only without a selector would it say so; so no count at all.
    const { remainingItemCount: _ofSandboxes, ...metadata } = list.metadata;
    return { metadata, items: list.items.map(projectSession).filter(selection.matches) };
  }

  async create(namespace: string, decoded: DecodedSession, options: CreateOptions): Promise<CreatedSession> {
    return await this.#creation.create(namespace, decoded, options);
  }

  async update(
    namespace: string,
    name: string,
    change: SessionChange,
    options: { dryRun: DryRun },
  ): Promise<ChangedSession> {
    return await this.#updates.update(namespace, name, change, options);
  }

  async delete(namespace: string, name: string, { preconditions, dryRun }: DeleteOptions): Promise<Deletion> {
    for (let attempt = 1; ; attempt += 1) {
      const sandbox = await this.#read(namespace, name);
      checkPreconditions(sandbox, preconditions);
      const session = projectSession(sandbox);
      // A deletion is begun once; what is left to do is in the hands of the finalizers' owners.
      if (sandbox.metadata.deletionTimestamp !== undefined) return { kind: 'waiting', session };
      try {
        return await this.#deleteSandbox(sandbox, { resourceVersion: preconditions.resourceVersion, dryRun });
      } catch (error) {
        const isStale = hasReason(error, 'Conflict') && preconditions.resourceVersion === undefined;
        if (!isStale || attempt === deleteAttempts) throw error;
      }
    }
  }

  /** Always in the background: an orphaned Pod would be adopted, with its files, by the next Sandbox of that name. */
  async #deleteSandbox(
    sandbox: Sandbox,
    options: { resourceVersion: string | undefined; dryRun: DryRun },
  ): Promise<Deletion> {
    const { namespace = '', name = '', uid = '' } = sandbox.metadata;
    const answer = await this.#request<Sandbox | Status>({
      method: 'DELETE',
      path: objectPath(namespace, name),
      body: {
        kind: 'DeleteOptions',
        apiVersion: 'v1',
        propagationPolicy: 'Background',
        preconditions: {
          uid,
          ...(options.resourceVersion === undefined ? {} : { resourceVersion: options.resourceVersion }),
        },
        ...(options.dryRun === undefined ? {} : { dryRun: [options.dryRun] }),
      },
    });
    return isSandbox(answer)
      ? { kind: 'waiting', session: projectSession(answer) }
      : { kind: 'gone', uid: sessionUid(uid) };
  }

  /** The session-bearing Sandbox of that name, live. */
  async #read(namespace: string, name: string): Promise<Sandbox> {
    const sandbox = await this.#request<Sandbox>({ path: objectPath(namespace, name) });
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

function collectionPath(namespace: string): string {
  return `${sandboxApi.path}/namespaces/${encodeURIComponent(namespace)}/${sandboxApi.resource}`;
}

function objectPath(namespace: string, name: string): string {
  return `${collectionPath(namespace)}/${encodeURIComponent(name)}`;
}

function isSandbox(answer: Sandbox | Status): answer is Sandbox {
  return answer.kind === sandboxApi.kind;
}

function notFound(name: string): ApiError {
  return new ApiError('NotFound', `${resource}.${group} "${name}" not found`, {
    details: { name, group, kind: resource },
  });
}

function checkPreconditions(sandbox: Sandbox, { uid, resourceVersion }: DeleteOptions['preconditions']): void {
  const { name = '' } = sandbox.metadata;
  const actualUid = sessionUid(sandbox.metadata.uid ?? '');
  if (uid !== undefined && uid !== actualUid) {
    throw conflict(
      name,
      `the UID in the precondition (${uid}) does not match the UID in record (${actualUid}). The object might have been deleted and then recreated`,
    );
  }
  if (resourceVersion !== undefined && resourceVersion !== sandbox.metadata.resourceVersion) {
    throw conflict(
      name,
      `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${sandbox.metadata.resourceVersion}). The object might have been modified`,
    );
  }
}
