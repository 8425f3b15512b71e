import { ApiError, hasReason } from '../../apis/machinery/errors.ts';
import { group, resource } from '../../apis/names.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { UserInfo } from '../../proxy/access/user.ts';
import type { InvocationPath } from '../../proxy/invocation/invocation-path.ts';
import { readBody } from '../http/body.ts';
import { sendObject } from '../http/exchange.ts';
import { negotiate } from '../http/negotiation.ts';
import { required, type VerbHandler } from './call.ts';
import { type DeleteOptions, readDeleteOptions } from './delete-options.ts';
import type { Deletion, SessionDeletions } from './deletions.ts';
import { readListOptions } from './list-options.ts';
import { represent, representList, viewOf } from './representation.ts';
import type { SandboxReads } from './sandbox-reads.ts';

/** Sessions of a collection that are deleted at once. */
const parallelDeletions = 8;

export interface DeleteVerbsOptions {
  reads: SandboxReads;
  deletions: SessionDeletions;
  /** Told of what was deleted here, so that its Event comes at once and names who did it. */
  chronicle: InvocationPath['chronicle'];
  /** Milliseconds since the epoch. */
  now: () => number;
}

/** delete and deletecollection, in the order of k8s.io/apiserver's handlers. */
export class DeleteVerbs {
  readonly #options: DeleteVerbsOptions;

  constructor(options: DeleteVerbsOptions) {
    this.#options = options;
  }

  readonly delete: VerbHandler = async (call) => {
    const { info, user, request } = call;
    const view = viewOf(negotiate(request.headers.accept, 'single'), info.query, this.#options.now());
    const options = readDeleteOptions(await readBody(request), request.headers['content-type'], info);
    const name = required(info.name);
    const deletion = await this.#deleteAs(user, required(info.namespace), name, options);
    if (deletion.kind === 'waiting') {
      const code = options.orphanDependents === false ? 202 : 200;
      const body = represent(deletion.session, view);
      await sendObject(call, { status: code, body, representation: view, warnings: deletion.warnings });
    } else {
      const details = { name, group, kind: resource, uid: deletion.uid };
      const body = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details };
      await sendObject(call, { status: 200, body, representation: view });
    }
  };

  /** Answers what was there before. What goes away meanwhile is no failure; every other failure ends it half done. */
  readonly deleteCollection: VerbHandler = async (call) => {
    const { info, user, request } = call;
    if (info.namespace === undefined)
      throw new ApiError('NotFound', 'the server could not find the requested resource');
    const view = viewOf(negotiate(request.headers.accept, 'list'), info.query, this.#options.now());
    const list = readListOptions(info);
    const options = readDeleteOptions(await readBody(request), request.headers['content-type'], info);
    const { items, metadata } = await this.#options.reads.list(list);
    await forEach(items, async (session) => await this.#deleteIfThere(user, session, options));
    await sendObject(call, { status: 200, body: representList(items, metadata, view), representation: view });
  };

  async #deleteAs(user: UserInfo, namespace: string, name: string, options: DeleteOptions): Promise<Deletion> {
    const deletion = await this.#options.deletions.delete(namespace, name, options);
    const uid = deletion.kind === 'gone' ? deletion.uid : deletion.session.metadata.uid;
    if (options.dryRun === undefined && uid !== undefined) this.#options.chronicle.deleted(uid, user.username);
    return deletion;
  }

  async #deleteIfThere(user: UserInfo, { metadata }: Session, options: DeleteOptions): Promise<void> {
    try {
      await this.#deleteAs(user, metadata.namespace ?? '', metadata.name ?? '', options);
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
    }
  }
}

/** Runs some at once; after a failure no more are begun. */
async function forEach<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  let hasFailed = false;
  const work = async () => {
    for (const item of queue) {
      if (hasFailed) return;
      try {
        await run(item);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: parallelDeletions }, work));
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}
