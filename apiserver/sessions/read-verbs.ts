import { ApiError } from '../../apis/machinery/errors.ts';
import { readBoolean } from '../../apis/machinery/query-values.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { beginStream, sendObject } from '../http/exchange.ts';
import { negotiate, requireStream } from '../http/negotiation.ts';
import type { ResourceRequest } from '../http/request-info.ts';
import type { EventEncoder } from '../watch/encoding.ts';
import { readWatchOptions } from '../watch/options.ts';
import type { SessionCache } from '../watch/session-cache.ts';
import type { WatchPlaces } from '../watch/watch-places.ts';
import { WatchStream } from '../watch/watch-stream.ts';
import { required, type VerbHandler } from './call.ts';
import { freshAndWhole, readListOptions } from './list-options.ts';
import { represent, representList, viewOf } from './representation.ts';
import type { SandboxReads } from './sandbox-reads.ts';
import type { Selection } from './selection.ts';
import { SharedReads } from './shared-reads.ts';

export interface ReadVerbsOptions {
  reads: SandboxReads;
  cache: SessionCache;
  encoder: EventEncoder;
  watchPlaces: WatchPlaces;
  /** Milliseconds since the epoch. */
  now: () => number;
}

interface FreshState {
  sessions: Session[];
  resourceVersion: bigint;
}

/** get, list and watch. */
export class ReadVerbs {
  readonly #options: ReadVerbsOptions;
  readonly #freshReads = new SharedReads<FreshState>();

  constructor(options: ReadVerbsOptions) {
    this.#options = options;
  }

  readonly get: VerbHandler = async (call) => {
    const { info, request } = call;
    const representation = negotiate(request.headers.accept, 'single');
    refuseExport(info.query);
    const version = info.query.get('resourceVersion') ?? undefined;
    const session = await this.#options.reads.get(required(info.namespace), required(info.name), version);
    const view = viewOf(representation, info.query, this.#options.now());
    await sendObject(call, { status: 200, body: represent(session, view), representation });
  };

  readonly list: VerbHandler = async (call) => {
    const { info, request } = call;
    const representation = negotiate(request.headers.accept, 'list');
    const { items, metadata } = await this.#options.reads.list(readListOptions(info));
    const view = viewOf(representation, info.query, this.#options.now());
    await sendObject(call, { status: 200, body: representList(items, metadata, view), representation });
  };

  readonly watch: VerbHandler = async ({ info, user, request, response }) => {
    // What cannot be a stream is found out last (k8s.io/apiserver/pkg/endpoints/handlers, ListResource).
    const representation = negotiate(request.headers.accept, 'single');
    const { watch, selection } = readWatchOptions(info);
    const format = viewOf(representation, info.query, this.#options.now());
    requireStream(representation);
    const { cache, encoder, watchPlaces } = this.#options;
    const leave = watchPlaces.take(user.username);
    const output = beginStream(response, { 'content-type': 'application/json' });
    const stream = new WatchStream({
      cache,
      encoder,
      selection,
      watch,
      scope: { namespace: info.namespace, name: selection.name },
      format,
      readState: (notOlderThan) => this.#readState(info, selection, notOlderThan),
      output,
    });
    try {
      if (watch.timeoutSeconds < 0) output.end();
      else await stream.run();
    } finally {
      leave();
    }
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
        ...freshAndWhole,
        ...version,
      });
      return { sessions: page.items, resourceVersion: BigInt(page.metadata.resourceVersion ?? '0') };
    });
  }
}

/** @throws ApiError BadRequest for what kube-apiserver once could do. */
function refuseExport(query: URLSearchParams): void {
  if (!readBoolean(query.get('export'))) return;
  throw new ApiError('BadRequest', 'the export parameter, deprecated since v1.14, is no longer supported');
}
