import type { Session } from '../../apis/v1alpha1/types.ts';
import { beginStream, sendJson } from '../http/exchange.ts';
import { negotiate } from '../http/negotiation.ts';
import type { ResourceRequest } from '../http/request-info.ts';
import type { EventEncoder } from '../watch/encoding.ts';
import { parseResourceVersion, readWatchOptions } from '../watch/options.ts';
import type { SessionCache } from '../watch/session-cache.ts';
import { WatchStream } from '../watch/watch-stream.ts';
import { required, type VerbHandler } from './call.ts';
import { readListOptions } from './list-options.ts';
import { readIncludeObject, represent, representList, viewOf } from './representation.ts';
import type { SandboxReads } from './sandbox-reads.ts';
import { readSelection, type Selection } from './selection.ts';
import { SharedReads } from './shared-reads.ts';

export interface ReadVerbsOptions {
  reads: SandboxReads;
  cache: SessionCache;
  encoder: EventEncoder;
  /** Milliseconds since the epoch. */
  now: () => number;
}

interface FreshState {
  sessions: Session[];
  resourceVersion: bigint;
}

const noPaging = { limit: undefined, continue: undefined, resourceVersion: undefined, resourceVersionMatch: undefined };

/** get, list and watch. */
export class ReadVerbs {
  readonly #options: ReadVerbsOptions;
  readonly #freshReads = new SharedReads<FreshState>();

  constructor(options: ReadVerbsOptions) {
    this.#options = options;
  }

  readonly get: VerbHandler = async ({ info, request, response }) => {
    const view = viewOf(negotiate(request.headers.accept, 'single'), info.query, this.#options.now());
    const version = info.query.get('resourceVersion') ?? undefined;
    parseResourceVersion(version ?? null);
    const session = await this.#options.reads.get(required(info.namespace), required(info.name), version);
    sendJson(response, 200, represent(session, view));
  };

  readonly list: VerbHandler = async ({ info, request, response }) => {
    const view = viewOf(negotiate(request.headers.accept, 'list'), info.query, this.#options.now());
    const { items, metadata } = await this.#options.reads.list(readListOptions(info));
    sendJson(response, 200, representList(items, metadata, view));
  };

  readonly watch: VerbHandler = async ({ info, request, response }) => {
    const representation = negotiate(request.headers.accept, 'single');
    const watch = readWatchOptions(info.query);
    const selection = readSelection(info.query);
    const { cache, encoder } = this.#options;
    const stream = new WatchStream({
      cache,
      encoder,
      selection,
      watch,
      scope: { namespace: info.namespace, name: selection.name },
      format: { ...representation, includeObject: readIncludeObject(info.query) },
      readState: (notOlderThan) => this.#readState(info, selection, notOlderThan),
      output: beginStream(response, { 'content-type': 'application/json' }),
    });
    await stream.run();
  };

  /** Fresh state for WatchLists, which informers ask for all at once when a connection breaks. */
  #readState(info: ResourceRequest, selection: Selection, notOlderThan: bigint | undefined): Promise<FreshState> {
    const version =
      notOlderThan === undefined ? {} : { resourceVersion: String(notOlderThan), resourceVersionMatch: 'NotOlderThan' };
    const key = JSON.stringify([info.namespace, selection.upstream, version]);
    return this.#freshReads.read(key, async () => {
      const page = await this.#options.reads.list({
        namespace: info.namespace,
        selection: selection.coarse,
        ...noPaging,
        ...version,
      });
      return { sessions: page.items, resourceVersion: BigInt(page.metadata.resourceVersion ?? '0') };
    });
  }
}
