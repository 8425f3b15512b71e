import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { readLines } from '../../../apis/client/lines.ts';
import type { WatchEvent } from '../../../apis/machinery/meta.ts';
import { createLog } from '../../../apis/runtime/log.ts';
import type { Session } from '../../../apis/v1alpha1/types.ts';
import { EventEncoder } from '../../../apiserver/watch/encoding.ts';
import { SessionCache } from '../../../apiserver/watch/session-cache.ts';
import { WatchStream } from '../../../apiserver/watch/watch-stream.ts';
import type { SupervisedProcess } from '../../../hack/cluster/process.ts';
import { Relay } from '../../../hack/cluster/relay.ts';
import { type SessionList, sessionsPath } from '../../support/caller.ts';
import { useCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';
import { type DirectApiserver, directApiserver } from '../pools/support/replicas.ts';

type Event = WatchEvent<Session>;

/** A watch and what has come of it. */
interface Watch {
  events: Event[];
  isOver: () => boolean;
}

describe('a watch that goes on where another one ended', () => {
  const env = useCluster();
  const space = env.namespace('resumption');
  const path = () => sessionsPath(space.name);
  const open: AbortController[] = [];
  const replicas: SupervisedProcess[] = [];
  const stops: (() => Promise<void>)[] = [];
  let first: DirectApiserver;

  before(async () => {
    first = await directApiserver(env, env.cluster.sojourn.ports.sojournApiserver);
    stops.push(() => first.client.close());
  });
  afterEach(() => {
    for (const watch of open.splice(0)) watch.abort();
  });
  after(async () => {
    for (const stop of stops.reverse()) await stop();
    for (const replica of replicas) await replica.stop();
  });

  /** One more API server, which knows nothing of what happened before it began. */
  async function replica(name: string, flags: string[] = []): Promise<DirectApiserver> {
    const { process, port } = await env.cluster.sojourn.startApiserverReplica(name, flags);
    replicas.push(process);
    const started = await directApiserver(env, port);
    stops.push(() => started.client.close());
    return started;
  }

  async function create(name: string, labels: Record<string, string> = {}): Promise<void> {
    const spec = { runtimeRef: { kind: 'CodeInterpreter', name: 'none' }, suspended: true };
    await env.client.request({
      method: 'POST',
      path: path(),
      body: { apiVersion: 'sojourn.dev/v1alpha1', kind: 'Session', metadata: { name, labels }, spec },
    });
  }

  async function label(name: string, labels: Record<string, string | null>): Promise<string> {
    const { metadata } = await env.client.request<Session>({
      method: 'PATCH',
      path: `${path()}/${name}`,
      contentType: 'application/merge-patch+json',
      body: { metadata: { labels } },
    });
    return metadata.resourceVersion ?? '';
  }

  const remove = async (name: string) => {
    await env.client.request({ method: 'DELETE', path: `${path()}/${name}` });
  };
  const isSuspended = async (name: string) =>
    (await env.client.request<Session>({ path: `${path()}/${name}` })).status?.phase === 'Suspended';
  const version = async () => (await env.client.request<SessionList>({ path: path() })).metadata.resourceVersion ?? '';

  async function watch({ client, headers }: DirectApiserver, query: Record<string, string>): Promise<Watch> {
    const abort = new AbortController();
    open.push(abort);
    const stream = await client.stream({
      path: path(),
      query: { watch: 'true', ...query },
      headers,
      signal: abort.signal,
    });
    const events: Event[] = [];
    let over = false;
    const read = async () => {
      for await (const line of readLines(stream.body)) events.push(JSON.parse(line.toString('utf8')) as Event);
    };
    void read()
      .catch(() => undefined)
      .then(() => {
        over = true;
      });
    return { events, isOver: () => over };
  }

  const told = ({ events }: Watch) =>
    events
      .filter(({ type }) => type !== 'BOOKMARK')
      .map(
        ({ type, object: { metadata } }) =>
          `${type} ${metadata.name} ${metadata.resourceVersion} ${JSON.stringify(metadata.labels)}`,
      );

  it('at a server that began later is told exactly what the other one tells, whatever it selects', async () => {
    await create('red', { team: 'red' });
    await create('going', { team: 'red' });
    await until('both to be at rest', async () => (await isSuspended('red')) && (await isSuspended('going')));
    const from = await version();
    await label('red', { team: 'blue' });
    await label('red', { team: 'red' });
    await label('red', { team: null });
    await create('brief', { team: 'red' });
    await remove('brief');
    await remove('going');
    await create('late', { team: 'blue' });
    await until('it to be at rest', () => isSuspended('late'));
    const second = await replica('sojourn-apiserver-bridge');
    const selections: Record<string, string>[] = [
      {},
      { labelSelector: 'team=red' },
      { labelSelector: 'team!=red' },
      { fieldSelector: 'status.phase=Suspended' },
      { fieldSelector: 'status.phase!=Suspended,metadata.name!=late' },
      { fieldSelector: 'metadata.name=going' },
    ];
    const pairs = await Promise.all(
      selections.map(async (selection) => {
        const query = { ...selection, resourceVersion: from };
        return [await watch(first, query), await watch(second, query)] as const;
      }),
    );
    // A change that all but the last two see, whatever has happened before it having been told; those see something earlier.
    await label('late', { team: 'red', last: 'yes' });
    const last = await label('red', { team: 'red', last: 'yes' });
    const [all] = pairs;
    for (const [index, [one, other]] of pairs.entries()) {
      const isTold = ({ events }: Watch) =>
        index < 4 ? events.some(({ object }) => object.metadata.resourceVersion === last) : events.length > 0;
      await until(
        `the same events for ${JSON.stringify(selections[index])}`,
        () => isTold(one) && isTold(other) && told(other).length === told(one).length,
        {
          seen: () => [told(one), told(other)],
        },
      );
      expect(told(other)).to.deep.equal(told(one));
    }
    expect(told(all?.[1] as Watch).filter((text) => text.includes(' brief '))).to.have.length.at.least(2);
    const types = pairs.map(([, { events }]) => new Set(events.map(({ type }) => type)));
    expect(types[1]).to.deep.equal(new Set(['DELETED', 'ADDED', 'MODIFIED']));
  }).timeout(300_000);

  it('from a version that nobody remembers is told so, and others are not harmed by it', async () => {
    const from = await version();
    const second = await replica('sojourn-apiserver-old');
    await label('late', { turn: '1' });
    const [tooOld, good] = await Promise.all([
      watch(second, { resourceVersion: '1' }),
      watch(second, { resourceVersion: from }),
    ]);
    await until('the end', tooOld.isOver);
    expect(tooOld.events.map(({ type }) => type)).to.deep.equal(['ERROR']);
    expect(tooOld.events[0]?.object).to.deep.include({ kind: 'Status', code: 410, reason: 'Expired' });
    await until('the change', () => told(good).length > 0);
    expect(good.isOver()).to.equal(false);
  }).timeout(120_000);

  it('at a server that is behind tells nothing twice and misses nothing', async () => {
    const relay = await Relay.open(env.cluster.plane.ports.kubeApiserver);
    stops.push(() => relay.stop());
    const own = await readFile(join(env.cluster.plane.dir, 'components', 'sojourn-apiserver.kubeconfig'), 'utf8');
    const kubeconfig = join(env.cluster.plane.dir, 'components', 'apiserver-behind.kubeconfig');
    await writeFile(kubeconfig, own.replaceAll(env.cluster.plane.server, `https://127.0.0.1:${relay.port}`));
    const behind = await replica('sojourn-apiserver-behind', ['--kubeconfig', kubeconfig]);
    // Whether the caller may watch is remembered for some seconds.
    const early = await watch(behind, { resourceVersion: await version() });
    relay.hold();
    await label('late', { turn: '2' });
    const from = await label('late', { turn: '3' });
    const resumed = await watch(behind, { resourceVersion: from });
    relay.release();
    const after = await label('late', { turn: '4' });
    await until('the change after it', () => resumed.events.length > 0 && early.events.length >= 3);
    expect(resumed.events.map(({ object }) => object.metadata.resourceVersion)).to.deep.equal([after]);
    expect(early.events.map(({ object }) => object.metadata.labels?.turn)).to.deep.equal(['2', '3', '4']);
  }).timeout(120_000);

  it('after it was cut for being slow misses nothing', async () => {
    const log = createLog({ write: () => undefined });
    const cache = new SessionCache(env.asAccount('sojourn-apiserver'), log);
    cache.start();
    try {
      await until('the cache', () => cache.synced);
      const from = cache.resourceVersion;
      const encoder = new EventEncoder(Date.now);
      const stream = (resourceVersion: bigint, output: PassThrough) =>
        new WatchStream({
          ...{ cache, encoder, output, longestLag: 5 },
          scope: { namespace: space.name, name: undefined },
          selection: { matches: () => true } as never,
          format: {
            shape: 'object',
            metaVersion: 'v1',
            includeObject: 'Metadata',
          },
          watch: { resourceVersion, sendInitialEvents: false, bookmarks: false, timeoutSeconds: 60 },
          readState: async () => await Promise.reject(new Error('nobody asked for the state')),
        });
      // Nobody reads it.
      const slow = new PassThrough({ highWaterMark: 1 });
      const cut = stream(from, slow).run();
      const versions: string[] = [];
      const turns = 12;
      for (let turn = 0; turn < turns; turn += 1) versions.push(await label('late', { turn: `slow-${turn}` }));
      await cut;
      expect(slow.destroyed).to.equal(true);
      const sent: Event[] = [];
      const quick = new PassThrough();
      const running = stream(from, quick).run();
      for await (const line of readLines(quick)) {
        sent.push(JSON.parse(line.toString('utf8')) as Event);
        if (sent.length >= turns) break;
      }
      expect(sent.map(({ object }) => object.metadata.resourceVersion)).to.deep.equal(versions);
      quick.destroy();
      await running;
    } finally {
      await cache.stop();
    }
  });

  it('is told by a bookmark how far it has come, shortly before it ends', async () => {
    const from = await version();
    const { events, isOver } = await watch(first, {
      resourceVersion: from,
      allowWatchBookmarks: 'true',
      timeoutSeconds: '4',
    });
    await until('the end', isOver);
    expect(events.map(({ type }) => type)).to.deep.equal(['BOOKMARK']);
    expect(Number(events[0]?.object.metadata.resourceVersion)).to.be.at.least(Number(from));
  });

  it('from a version that is yet to come hears nothing of what comes before it', async () => {
    const from = Number(await label('late', { turn: 'now' })) + 3;
    const future = await watch(first, { resourceVersion: String(from) });
    let last = 0;
    for (let turn = 0; last <= from; turn += 1) last = Number(await label('late', { turn: `future-${turn}` }));
    await until('the first event', () =>
      future.events.some(({ object }) => object.metadata.resourceVersion === String(last)),
    );
    expect(future.events.every(({ object }) => Number(object.metadata.resourceVersion) > from)).to.equal(true);
  });
});
