import type { KubeClient } from '../../apis/client/transport.ts';
import { ApiError, hasReason } from '../../apis/machinery/errors.ts';
import type { Status } from '../../apis/machinery/meta.ts';
import { formatTime } from '../../apis/machinery/time.ts';
import { accounts, group, kind, sandboxApi } from '../../apis/names.ts';
import { isSandboxFinalizer, projectSession } from '../../apis/v1alpha1/projection.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import { sandboxChange } from '../../apis/v1alpha1/sandbox-change.ts';
import { sandboxPath } from '../../apis/v1alpha1/sandbox-paths.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { sessionUid } from '../../apis/v1alpha1/uid.ts';
import { finalizersFor, storedPolicy } from './collector-finalizers.ts';
import { conflict } from './conflict.ts';
import type { DeleteOptions } from './delete-options.ts';
import type { SandboxReads } from './sandbox-reads.ts';
import { translateUpstreamError } from './upstream-errors.ts';
import type { DryRun } from './write-options.ts';

/** How often a delete is tried again when its Sandbox changed in between. */
const attempts = 8;

/** What a deletion left: the Session that still waits for its finalizers, or only its uid. */
export type Deletion = { kind: 'waiting'; session: Session; warnings: string[] } | { kind: 'gone'; uid: string };

export interface SessionDeletionsOptions {
  client: KubeClient;
  reads: SandboxReads;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/**
 * Deletes Sessions by deleting their Sandboxes, which always happens in the background: an orphaned Pod would be adopted,
 * with its files, by the next Sandbox of that name. That the collector is to wait for a Session's dependents, or to orphan
 * them, is written first, as a finalizer of ours; so whoever dies in between leaves a Session that is not being deleted
 * and can be, in any way.
 */
export class SessionDeletions {
  readonly #options: SessionDeletionsOptions;

  constructor(options: SessionDeletionsOptions) {
    this.#options = options;
  }

  /** @throws ApiError NotFound, Conflict (a precondition does not hold), and whatever kube-apiserver refuses. */
  async delete(namespace: string, name: string, options: DeleteOptions): Promise<Deletion> {
    let { preconditions } = options;
    for (let attempt = 1; ; attempt += 1) {
      const sandbox = await this.#options.reads.sandbox(namespace, name);
      checkPreconditions(sandbox, preconditions);
      if (options.ignoreStoreReadError) {
        throw conflict(name, 'unsafe deletion is not allowed because the object is decodable from storage');
      }
      try {
        if (sandbox.metadata.deletionTimestamp !== undefined) return await this.#redirect(sandbox, options);
        const marked = await this.#mark(sandbox, options);
        // That the version was the right one has been decided by the first write.
        if (marked !== sandbox && options.dryRun === undefined) preconditions = withoutVersion(preconditions);
        return await this.#deleteMarked(sandbox, marked, { ...options, preconditions });
      } catch (error) {
        if (!hasReason(error, 'Conflict') || attempt === attempts) throw error;
      }
    }
  }

  /** Writes what the collector is to do with the dependents, where that is not what is stored. */
  async #mark(sandbox: Sandbox, { policy, dryRun }: DeleteOptions): Promise<Sandbox> {
    const wanted = finalizersFor(sandbox.metadata.finalizers ?? [], policy);
    return wanted === undefined ? sandbox : await this.#setFinalizers(sandbox, wanted, dryRun);
  }

  async #deleteMarked(
    sandbox: Sandbox,
    marked: Sandbox,
    { preconditions, dryRun }: Pick<DeleteOptions, 'preconditions' | 'dryRun'>,
  ): Promise<Deletion> {
    const isMarked = marked !== sandbox || storedPolicy(marked.metadata.finalizers ?? []) !== 'Background';
    // Nobody may take the mark away in between.
    const resourceVersion = isMarked
      ? versionOf(dryRun === undefined ? marked : sandbox)
      : preconditions.resourceVersion;
    try {
      const deletion = await this.#deleteSandbox(sandbox, { resourceVersion, dryRun });
      return marked !== sandbox && dryRun !== undefined ? this.#imagined(sandbox, marked) : deletion;
    } catch (error) {
      const isRefusal = error instanceof ApiError && error.code < 500 && !hasReason(error, 'Conflict', 'NotFound');
      if (isRefusal && marked !== sandbox && dryRun === undefined) await this.#unmark(sandbox, marked);
      throw error;
    }
  }

  /** What a dry run of two writes, the second of which has not seen the first, comes to. */
  #imagined(sandbox: Sandbox, { metadata }: Sandbox): Deletion {
    const finalizers = (metadata.finalizers ?? []).filter((finalizer) => !isSandboxFinalizer(finalizer));
    if (finalizers.length === 0) return gone(sandbox);
    const deletion = { deletionTimestamp: formatTime(this.#options.now()), deletionGracePeriodSeconds: 0 };
    return waiting({ ...sandbox, metadata: { ...sandbox.metadata, ...deletion, finalizers } });
  }

  /** A deletion that is refused leaves nothing behind; where that fails, a mark without a deletion, which harms nobody. */
  async #unmark(sandbox: Sandbox, marked: Sandbox): Promise<void> {
    try {
      await this.#setFinalizers(marked, sandbox.metadata.finalizers ?? [], undefined);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }

  /**
   * A deletion is begun once. After that kube-apiserver lets nobody add a finalizer, but the collector's can still be taken
   * away; the other way round, the dependents have been given up already.
   */
  async #redirect(sandbox: Sandbox, { policy, dryRun }: DeleteOptions): Promise<Deletion> {
    const stored = sandbox.metadata.finalizers ?? [];
    const wanted = finalizersFor(stored, policy);
    if (wanted === undefined) return waiting(sandbox);
    const isLate = wanted.some((finalizer) => !stored.includes(finalizer));
    const warnings = isLate ? [tooLate[policy === 'Orphan' ? 'Orphan' : 'Foreground']] : [];
    const left = stored.filter((finalizer) => wanted.includes(finalizer));
    if (left.length === stored.length || (isLate && policy === 'Orphan')) return waiting(sandbox, warnings);
    const written = await this.#setFinalizers(sandbox, left, dryRun);
    return left.length === 0 ? gone(sandbox) : waiting(written, warnings);
  }

  async #setFinalizers(sandbox: Sandbox, finalizers: readonly string[], dryRun: DryRun): Promise<Sandbox> {
    const { uid } = sandbox.metadata;
    return await this.#request<Sandbox>({
      ...sandboxChange(sandbox.metadata, { metadata: { uid, resourceVersion: versionOf(sandbox), finalizers } }),
      query: { dryRun, fieldManager: accounts.apiserver },
    });
  }

  async #deleteSandbox(
    sandbox: Sandbox,
    { resourceVersion, dryRun }: { resourceVersion: string | undefined; dryRun: DryRun },
  ): Promise<Deletion> {
    const { namespace = '', name = '', uid } = sandbox.metadata;
    const answer = await this.#request<Sandbox | Status>({
      method: 'DELETE',
      path: sandboxPath(namespace, name),
      body: {
        kind: 'DeleteOptions',
        apiVersion: 'v1',
        propagationPolicy: 'Background',
        preconditions: { uid, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
        ...(dryRun === undefined ? {} : { dryRun: [dryRun] }),
      },
    });
    return isSandbox(answer) ? waiting(answer) : gone(sandbox);
  }

  async #request<T>(request: Parameters<KubeClient['request']>[0]): Promise<T> {
    try {
      return await this.#options.client.request<T>(request);
    } catch (error) {
      throw translateUpstreamError(error);
    }
  }
}

/** What a DELETE that comes after another one cannot have any more. */
const tooLate = {
  Foreground: 'the session is being deleted already; that its dependents go first cannot be asked for any more',
  Orphan: 'the session is being deleted already; that its dependents are kept cannot be asked for any more',
} as const;

function waiting(sandbox: Sandbox, warnings: string[] = []): Deletion {
  return { kind: 'waiting', session: projectSession(sandbox), warnings };
}

function gone({ metadata: { uid = '' } }: Sandbox): Deletion {
  return { kind: 'gone', uid: sessionUid(uid) };
}

function versionOf({ metadata }: Sandbox): string {
  return metadata.resourceVersion ?? '';
}

function isSandbox(answer: Sandbox | Status): answer is Sandbox {
  return answer.kind === sandboxApi.kind;
}

function withoutVersion({ uid }: DeleteOptions['preconditions']): DeleteOptions['preconditions'] {
  return uid === undefined ? {} : { uid };
}

/** In the words of k8s.io/apiserver/pkg/registry/rest/delete.go, BeforeDelete, which names the kind there. */
function checkPreconditions(sandbox: Sandbox, { uid, resourceVersion }: DeleteOptions['preconditions']): void {
  const { name = '' } = sandbox.metadata;
  const found = { uid: sessionUid(sandbox.metadata.uid ?? ''), resourceVersion: versionOf(sandbox) };
  if (uid !== undefined && uid !== found.uid) {
    const happened = 'The object might have been deleted and then recreated';
    throw mismatch(
      name,
      `the UID in the precondition (${uid}) does not match the UID in record (${found.uid}). ${happened}`,
    );
  }
  if (resourceVersion !== undefined && resourceVersion !== found.resourceVersion) {
    const versions = `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${found.resourceVersion})`;
    throw mismatch(name, `${versions}. The object might have been modified`);
  }
}

function mismatch(name: string, problem: string): ApiError {
  return new ApiError('Conflict', `Operation cannot be fulfilled on ${kind}.${group} "${name}": ${problem}`, {
    details: { name, group, kind },
  });
}
