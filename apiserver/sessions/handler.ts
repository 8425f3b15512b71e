import type { Verb } from '../http/request-info.ts';
import type { Call, VerbHandler } from './call.ts';
import { DeleteVerbs, type DeleteVerbsOptions } from './delete-verbs.ts';
import { ReadVerbs, type ReadVerbsOptions } from './read-verbs.ts';
import { WriteVerbs, type WriteVerbsOptions } from './write-verbs.ts';

export type SessionHandlerOptions = ReadVerbsOptions & WriteVerbsOptions & DeleteVerbsOptions;

/** The verbs of sessions. */
export class SessionHandler {
  readonly #verbs: Record<Verb, VerbHandler>;

  constructor(options: SessionHandlerOptions) {
    const reading = new ReadVerbs(options);
    const writing = new WriteVerbs(options);
    const deleting = new DeleteVerbs(options);
    this.#verbs = {
      get: reading.get,
      list: reading.list,
      watch: reading.watch,
      create: writing.create,
      update: writing.update,
      patch: writing.patch,
      delete: deleting.delete,
      deletecollection: deleting.deleteCollection,
    };
  }

  /** @throws ApiError before headers were sent. */
  async handle(call: Call): Promise<void> {
    await this.#verbs[call.info.verb](call);
  }
}
