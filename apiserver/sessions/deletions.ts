import type { KubeClient } from '../../apis/client/transport.ts';
import { hasReason } from '../../apis/machinery/errors.ts';
import type { Status } from '../../apis/machinery/meta.ts';
import { sandboxApi } from '../../apis/names.ts';
import { projectSession } from '../../apis/v1alpha1/projection.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import { sandboxPath } from '../../apis/v1alpha1/sandbox-paths.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { sessionUid } from '../../apis/v1alpha1/uid.ts';
import { conflict } from './conflict.ts';
import type { DeleteOptions } from './delete-options.ts';
import type { SandboxReads } from './sandbox-reads.ts';
import { translateUpstreamError } from './upstream-errors.ts';
import type { DryRun } from './write-options.ts';

/** How often a delete is tried again when its Sandbox changed in between. */
const deleteAttempts = 5;

/** What a deletion left: the Session that still waits for its finalizers, or only its uid. */
export type Deletion = { kind: 'waiting'; session: Session } | { kind: 'gone'; uid: string };

/** Deletes Sessions by deleting their Sandboxes. */
export class SessionDeletions {
  readonly #client: KubeClient;
  readonly #reads: SandboxReads;

  constructor(client: KubeClient, reads: SandboxReads) {
    this.#client = client;
    this.#reads = reads;
  }

  /** @throws ApiError NotFound, Conflict (a precondition does not hold), and whatever kube-apiserver refuses. */
  async delete(namespace: string, name: string, { preconditions, dryRun }: DeleteOptions): Promise<Deletion> {
    for (let attempt = 1; ; attempt += 1) {
      const sandbox = await this.#reads.sandbox(namespace, name);
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
      path: sandboxPath(namespace, name),
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

  async #request<T>(request: Parameters<KubeClient['request']>[0]): Promise<T> {
    try {
      return await this.#client.request<T>(request);
    } catch (error) {
      throw translateUpstreamError(error);
    }
  }
}

function isSandbox(answer: Sandbox | Status): answer is Sandbox {
  return answer.kind === sandboxApi.kind;
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
