import type { KubeClient } from '../../apis/client/transport.ts';
import { ApiError, hasReason } from '../../apis/machinery/errors.ts';
import type { KubeList, ObjectMeta, Status } from '../../apis/machinery/meta.ts';
import { accounts, group, labels, resource, sandboxApi } from '../../apis/names.ts';
import { documentLimitBytes } from '../../apis/v1alpha1/document.ts';
import { metadataCauses } from '../../apis/v1alpha1/metadata-rules.ts';
import { newSandbox } from '../../apis/v1alpha1/new-sandbox.ts';
import { projectSession } from '../../apis/v1alpha1/projection.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import { completeSpec, runtimeCauses, specCauses } from '../../apis/v1alpha1/spec-rules.ts';
import type { Session, SessionUser } from '../../apis/v1alpha1/types.ts';
import { sessionUid } from '../../apis/v1alpha1/uid.ts';
import type { TrustAnchors } from '../../apis/wire/trust-anchor.ts';
import type { SessionCache } from '../watch/session-cache.ts';
import { type DecodedSession, invalidSession } from './decode.ts';
import type { DeleteOptions } from './delete-options.ts';
import { resolveRuntime } from './runtimes.ts';
import type { Deletion, DryRun, ListOptions, SessionPage, SessionStorage } from './storage.ts';
import { translateUpstreamError } from './upstream-errors.ts';

/** How often a delete is tried again when its Sandbox changed in between. */
const deleteAttempts = 5;

export interface SandboxStorageOptions {
  client: KubeClient;
  cache: SessionCache;
  /** The keys that new sandboxes trust. */
  trustAnchors: () => TrustAnchors;
  now: () => number;
}

/** Sessions as annotations on Sandboxes: one Session is one Sandbox of the same namespace and name. */
export class SandboxStorage implements SessionStorage {
  readonly #options: SandboxStorageOptions;

  constructor(options: SandboxStorageOptions) {
    this.#options = options;
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

  async create(
    namespace: string,
    decoded: DecodedSession,
    { user, dryRun }: { user: SessionUser; dryRun: DryRun },
  ): Promise<Session> {
    const metadata = { ...decoded.metadata, namespace };
    refuseOversize(decoded);
    const causes = metadataCauses(metadata);
    if (causes.length > 0) throw invalidSession(nameOf(metadata), causes);
    const runtime = await resolveRuntime(this.#options.client, namespace, decoded.spec.runtimeRef);
    const unusable = runtimeCauses(runtime);
    if (unusable.length > 0) throw invalidSession(nameOf(metadata), unusable);
    const spec = completeSpec(decoded.spec, runtime.limits);
    const problems = specCauses(spec, runtime.limits);
    if (problems.length > 0) throw invalidSession(nameOf(metadata), problems);
    const { now, trustAnchors } = this.#options;
    const sandbox = newSandbox({ metadata, spec, runtime, user, now: now() }, trustAnchors());
    try {
      const created = await this.#options.client.request<Sandbox>({
        method: 'POST',
        path: collectionPath(namespace),
        // The Sandbox is ours to write; whose fields are whose is a matter of the Session.
        query: { dryRun, fieldManager: accounts.apiserver },
        body: sandbox,
      });
      return projectSession(created);
    } catch (error) {
      throw hasReason(error, 'AlreadyExists')
        ? await this.#nameTaken(namespace, metadata.name, error)
        : translateUpstreamError(error);
    }
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

  async #nameTaken(namespace: string, name: string | undefined, error: ApiError): Promise<unknown> {
    if (name === undefined) return translateUpstreamError(error);
    const existing = await this.#options.client
      .request<Sandbox>({ path: objectPath(namespace, name) })
      .catch(() => undefined);
    if (existing === undefined || existing.metadata.labels?.[labels.session] === 'true')
      return translateUpstreamError(error);
    const message = `${resource}.${group} "${name}" cannot be created: a Sandbox of that name exists that is no session; choose another name`;
    return new ApiError('AlreadyExists', message, { details: { name, group, kind: resource }, cause: error });
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

function nameOf({ name, generateName }: ObjectMeta): string {
  return name ?? generateName ?? '';
}

/**
 * Everything a user chooses counts, and is counted before anything else is looked at: it is copied to every watcher.
 * @throws ApiError Invalid.
 */
function refuseOversize({ metadata, spec }: DecodedSession): void {
  const {
    name,
    generateName,
    labels: userLabels,
    annotations: userAnnotations,
    ownerReferences,
    finalizers,
  } = metadata;
  const chosen = { name, generateName, userLabels, userAnnotations, ownerReferences, finalizers, spec };
  const size = Buffer.byteLength(JSON.stringify(chosen));
  if (size <= documentLimitBytes) return;
  const message = `Too long: a session may hold ${documentLimitBytes} bytes in all, this one has ${size}; keep payloads elsewhere`;
  throw invalidSession(nameOf(metadata), [{ reason: 'FieldValueTooLong', message, field: 'metadata' }]);
}

function checkPreconditions(sandbox: Sandbox, { uid, resourceVersion }: DeleteOptions['preconditions']): void {
  const { name = '' } = sandbox.metadata;
  const conflict = (problem: string) =>
    new ApiError('Conflict', `Operation cannot be fulfilled on ${resource}.${group} "${name}": ${problem}`, {
      details: { name, group, kind: resource },
    });
  const actualUid = sessionUid(sandbox.metadata.uid ?? '');
  if (uid !== undefined && uid !== actualUid) {
    throw conflict(
      `the UID in the precondition (${uid}) does not match the UID in record (${actualUid}). The object might have been deleted and then recreated`,
    );
  }
  if (resourceVersion !== undefined && resourceVersion !== sandbox.metadata.resourceVersion) {
    throw conflict(
      `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${sandbox.metadata.resourceVersion}). The object might have been modified`,
    );
  }
}
