import { PassThrough } from 'node:stream';
import { readLines } from '../../../../apis/client/lines.ts';
import type { WatchEvent } from '../../../../apis/machinery/meta.ts';
import type { Session } from '../../../../apis/v1alpha1/types.ts';
import { decodeListQuery } from '../../../../apiserver/sessions/list-query.ts';
import { type Selection, selectionOf } from '../../../../apiserver/sessions/selection.ts';
import { EventEncoder } from '../../../../apiserver/watch/encoding.ts';
import type { SessionCache } from '../../../../apiserver/watch/session-cache.ts';
import { WatchStream } from '../../../../apiserver/watch/watch-stream.ts';
import type { SessionList } from '../../../support/caller.ts';

export interface FollowerOptions {
  namespace: string;
  /** Selectors, as in a URL. */
  query: string;
  /** What there is in the namespace, and from when on events are followed. */
  list: SessionList;
}

/** A client that watches a cache, goes on from its last version whenever its watch ends, and never lists again. */
export class Follower {
  readonly query: string;
  /** resourceVersions by name. */
  readonly state = new Map<string, string>();
  /** Of all events. */
  readonly versions: string[] = [];
  /** What must never happen, in words. */
  readonly faults: string[] = [];
  watches = 0;
  readonly #cache: SessionCache;
  readonly #namespace: string;
  readonly #selection: Selection;
  readonly #encoder = new EventEncoder(Date.now);
  #position: bigint;
  #output: PassThrough | undefined;
  #isStopped = false;
  #running: Promise<void> | undefined;

  constructor(cache: SessionCache, { namespace, query, list }: FollowerOptions) {
    this.#cache = cache;
    this.#namespace = namespace;
    this.query = query;
    this.#selection = selectionOf(decodeListQuery(new URLSearchParams(query)), undefined);
    this.#position = BigInt(list.metadata.resourceVersion ?? '0');
    for (const { metadata } of list.items.filter(this.selects)) {
      this.state.set(metadata.name ?? '', metadata.resourceVersion ?? '');
    }
  }

  readonly selects = (session: Session): boolean => this.#selection.matches(session);

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#output?.destroy();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      this.watches += 1;
      const output = new PassThrough();
      this.#output = output;
      const served = new WatchStream({
        ...{ cache: this.#cache, encoder: this.#encoder, output, selection: this.#selection },
        scope: { namespace: this.#namespace, name: undefined },
        format: { shape: 'object', metaVersion: 'v1', includeObject: 'Metadata' },
        watch: { resourceVersion: this.#position, sendInitialEvents: false, bookmarks: true, timeoutSeconds: 60 },
        readState: async () => await Promise.reject(new Error('nobody asked for the state')),
      }).run();
      try {
        for await (const line of readLines(output))
          this.#take(JSON.parse(line.toString('utf8')) as WatchEvent<Session>);
      } catch (error) {
        if (!this.#isStopped) this.faults.push(`cut: ${String(error)}`);
      }
      await served;
    }
  }

  #take({ type, object }: WatchEvent<Session>): void {
    if (type === 'ERROR') {
      this.faults.push(JSON.stringify(object));
      this.#isStopped = true;
      return;
    }
    const { name = '', resourceVersion = '' } = object.metadata;
    const version = BigInt(resourceVersion);
    if (version < this.#position || (version === this.#position && type !== 'BOOKMARK')) {
      this.faults.push(`${type} ${name} at ${version} after ${this.#position}`);
    }
    this.#position = version;
    if (type === 'BOOKMARK') return;
    this.versions.push(resourceVersion);
    if (this.state.has(name) !== (type !== 'ADDED')) {
      this.faults.push(`${type} ${name}, which was${type === 'ADDED' ? '' : ' not'} there`);
    }
    if (type === 'DELETED') this.state.delete(name);
    else this.state.set(name, resourceVersion);
  }
}
