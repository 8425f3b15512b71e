import { type ClientHttp2Session, connect } from 'node:http2';
import { setTimeout as delay } from 'node:timers/promises';
import type { ClusterConfig } from '../../../apis/client/kubeconfig.ts';
import { readLines } from '../../../apis/client/lines.ts';
import type { KubeList, ObjectMeta, Status, WatchEvent } from '../../../apis/machinery/meta.ts';

/** An object, metadata of one, or a Table with one row. */
interface Shown {
  metadata: ObjectMeta;
  rows?: { object: { metadata: ObjectMeta } }[];
}

export interface Interest {
  path: string;
  /** Selectors. */
  query: Record<string, string>;
  accept: string;
}

/** As client-go's reflector waits after failures, but never so long that a test would wait for it. */
const firstPauseMs = 800;
const longestPauseMs = 3_200;

/** Some HTTP/2 connections to kube-apiserver, each with many streams, as client-go has them. */
export class Connections {
  readonly #config: ClusterConfig;
  readonly #sessions: (ClientHttp2Session | undefined)[];
  #turn = 0;

  constructor(config: ClusterConfig, count: number) {
    this.#config = config;
    this.#sessions = Array.from({ length: count }, () => undefined);
  }

  /** Sends a GET. Rejects when there is no answer; the body fails when it is cut. */
  async get(
    { path, query, accept }: Interest,
    signal: AbortSignal,
  ): Promise<{ status: number; body: AsyncIterable<Buffer> & NodeJS.ReadableStream }> {
    const target = `${path}?${new URLSearchParams(query).toString()}`;
    const stream = this.#next().request({ ':path': target, accept }, { signal });
    const status = await new Promise<number>((resolve, reject) => {
      stream.once('response', (headers) => resolve(Number(headers[':status'])));
      stream.once('close', () => reject(new Error('no answer')));
      stream.on('error', reject);
    });
    return { status, body: stream };
  }

  close(): void {
    for (const session of this.#sessions) session?.destroy();
  }

  #next(): ClientHttp2Session {
    const at = this.#turn++ % this.#sessions.length;
    const known = this.#sessions[at];
    if (known !== undefined && !known.closed && !known.destroyed) return known;
    const { server, ca, cert, key } = this.#config;
    const session = connect(server, { ca, cert, key, settings: { initialWindowSize: 1 << 20 } });
    // Its streams fail with it.
    session.on('error', () => session.close());
    this.#sessions[at] = session;
    return session;
  }
}

/**
 * What client-go's reflector and store make of a list and watches, strictly: an event that does not fit the state before it
 * is a fault. It goes on from its last resourceVersion after every end, and lists again only for a 410.
 */
export class StrictInformer {
  readonly interest: Interest;
  /** resourceVersions by name. */
  readonly state = new Map<string, string>();
  /** What must never happen, in words. */
  readonly faults: string[] = [];
  /** resourceVersions of all events, in the order of their coming. */
  readonly versions: string[] = [];
  /** Of the first list. */
  begun = 0n;
  relists = 0;
  watches = 0;
  readonly #connections: Connections;
  readonly #stop = new AbortController();
  #version = 0n;
  #lastFailure: unknown;
  #pauseMs = firstPauseMs;
  #running: Promise<void> | undefined;

  constructor(connections: Connections, interest: Interest) {
    this.#connections = connections;
    this.interest = interest;
  }

  /** Why it had to begin again, most lately. */
  get lastFailure(): unknown {
    return this.#lastFailure;
  }

  /** Lists; the watch goes on by itself. */
  async start(): Promise<void> {
    await this.#listPatiently('0');
    this.begun = this.#version;
    this.#running = this.#follow();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #list(resourceVersion: '' | '0'): Promise<void> {
    const { path } = this.interest;
    const query = { ...this.interest.query, resourceVersion };
    const accept = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';
    const { status, body } = await this.#connections.get({ path, query, accept }, this.#stop.signal);
    const chunks: Buffer[] = [];
    for await (const chunk of body) chunks.push(chunk);
    if (status !== 200)
      throw new Error(`a list was answered with ${status}: ${Buffer.concat(chunks).toString('utf8').slice(0, 200)}`);
    const list = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Pick<KubeList<Shown>, 'metadata'> & {
      items: Shown[] | null;
    };
    this.state.clear();
    // An empty list of metadata has null there, as a custom resource's.
    for (const { metadata } of list.items ?? []) this.state.set(metadata.name ?? '', metadata.resourceVersion ?? '');
    this.#version = BigInt(list.metadata.resourceVersion ?? '0');
  }

  async #follow(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#watch();
      } catch (error) {
        // Cut off, or not answered: both are what a killed server looks like.
        if (this.#stop.signal.aborted) return;
        this.#lastFailure = error;
        if (error instanceof Expired) {
          this.relists += 1;
          await this.#listPatiently('');
        }
      }
      await this.#pause();
    }
  }

  /** Until it is answered. */
  async #listPatiently(resourceVersion: '' | '0'): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#list(resourceVersion);
        return;
      } catch (error) {
        this.#lastFailure = error;
        await this.#pause();
      }
    }
  }

  async #watch(): Promise<void> {
    this.watches += 1;
    const { query, ...rest } = this.interest;
    const watch = {
      ...query,
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: String(this.#version),
      timeoutSeconds: '300',
    };
    const { status, body } = await this.#connections.get({ ...rest, query: watch }, this.#stop.signal);
    if (status !== 200) {
      body.resume();
      return;
    }
    this.#pauseMs = firstPauseMs;
    for await (const line of readLines(body as never))
      this.#take(JSON.parse(line.toString('utf8')) as WatchEvent<Shown>);
  }

  #take({ type, object }: WatchEvent<Shown>): void {
    if (type === 'ERROR') {
      const { code, message } = object as unknown as Status;
      if (code === 410) throw new Expired();
      this.#fault(`ERROR ${code} ${message}`);
      return;
    }
    const metadata = object.rows?.[0]?.object.metadata ?? object.metadata;
    const { name = '', resourceVersion = '' } = metadata;
    const version = BigInt(resourceVersion);
    const isBookmark = type === 'BOOKMARK';
    if (version < this.#version || (version === this.#version && !isBookmark)) {
      this.#fault(`${type} ${name} at ${version} after ${this.#version}`);
    }
    this.#version = version;
    if (isBookmark) return;
    this.versions.push(resourceVersion);
    if (this.state.has(name) !== (type !== 'ADDED'))
      this.#fault(`${type} ${name}, which was${type === 'ADDED' ? '' : ' not'} there`);
    if (type === 'DELETED') this.state.delete(name);
    else this.state.set(name, resourceVersion);
  }

  #fault(text: string): void {
    if (this.faults.length < 10) this.faults.push(`${JSON.stringify(this.interest.query)}: ${text}`);
  }

  async #pause(): Promise<void> {
    const pauseMs = this.#pauseMs * (1 + Math.random());
    this.#pauseMs = Math.min(2 * this.#pauseMs, longestPauseMs);
    await delay(pauseMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }
}

/** The server has forgotten what came after our version. */
class Expired extends Error {}
