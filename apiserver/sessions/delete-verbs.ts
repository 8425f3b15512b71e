import { hasReason } from '../../apis/machinery/errors.ts';
import { group, resource } from '../../apis/names.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { UserInfo } from '../../proxy/access/user.ts';
import type { InvocationPath } from '../../proxy/invocation/invocation-path.ts';
import { readBody } from '../http/body.ts';
import { sendJson } from '../http/exchange.ts';
import { negotiate } from '../http/negotiation.ts';
import { required, type VerbHandler } from './call.ts';
import { type DeleteOptions, readDeleteOptions } from './delete-options.ts';
import type { Deletion, SessionDeletions } from './deletions.ts';
import { readListOptions } from './list-options.ts';
import { representList, viewOf } from './representation.ts';
import type { SandboxReads } from './sandbox-reads.ts';

export interface DeleteVerbsOptions {
  reads: SandboxReads;
  deletions: SessionDeletions;
  /** Told of what was deleted here, so that its Event comes at once and names who did it. */
  chronicle: InvocationPath['chronicle'];
  /** Milliseconds since the epoch. */
  now: () => number;
}

/** delete and deletecollection. */
export class DeleteVerbs {
  readonly #options: DeleteVerbsOptions;

  constructor(options: DeleteVerbsOptions) {
    this.#options = options;
  }

  readonly delete: VerbHandler = async ({ info, user, request, response }) => {
    negotiate(request.headers.accept, 'single');
    const options = readDeleteOptions(await readBody(request), info.query);
    const name = required(info.name);
    const deletion = await this.#deleteAs(user, required(info.namespace), name, options);
    if (deletion.kind === 'waiting') return sendJson(response, 200, deletion.session);
    sendJson(response, 200, {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      details: { name, group, kind: resource, uid: deletion.uid },
    });
  };

  readonly deleteCollection: VerbHandler = async ({ info, user, request, response }) => {
    const view = viewOf(negotiate(request.headers.accept, 'list'), info.query, this.#options.now());
    const options = readDeleteOptions(await readBody(request), info.query);
    const { items, metadata } = await this.#options.reads.list(readListOptions(info));
    for (const session of items) await this.#deleteIfThere(user, session, options);
    sendJson(response, 200, representList(items, metadata, view));
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
