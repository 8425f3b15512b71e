import { expect } from 'chai';
import { readLines } from '../../apis/client/lines.ts';
import type { ObjectMeta, WatchEvent } from '../../apis/machinery/meta.ts';
import type { Session, SessionSpec, SessionStatus } from '../../apis/v1alpha1/types.ts';
import type { SessionList } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';
import { until } from '../support/until.ts';

/** What may come in an event: a session, a Table or a Status. */
interface Watched {
  kind: string;
  metadata: ObjectMeta;
  spec?: SessionSpec;
  status?: SessionStatus;
  rows?: { cells: string[] }[];
  columnDefinitions?: unknown[] | null;
}

type Event = WatchEvent<Watched>;

describe('watches of sessions', () => {
  const env = useCluster();
  const space = env.namespace('watch');
  const path = () => `/apis/sojourn.dev/v1alpha1/namespaces/${space.name}/sessions`;
  const open: AbortController[] = [];
  afterEach(() => {
    for (const watch of open.splice(0)) watch.abort();
  });

  async function create(name: string, labels: Record<string, string> = {}): Promise<Session> {
    return await env.client.request<Session>({
      method: 'POST',
      path: path(),
      body: {
        apiVersion: 'sojourn.dev/v1alpha1',
        kind: 'Session',
        metadata: { name, labels },
        spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'none' } },
      },
    });
  }

  async function remove(name: string): Promise<void> {
    await env.client.request({ method: 'DELETE', path: `${path()}/${name}` });
  }

  /** Opens a watch; `events` grows as they come, `ended` resolves with its end. */
  async function watch(
    query: Record<string, string>,
    accept?: string,
  ): Promise<{ events: Event[]; ended: Promise<void> }> {
    const abort = new AbortController();
    open.push(abort);
    const stream = await env.client.stream({
      path: path(),
      query: { watch: 'true', ...query },
      signal: abort.signal,
      ...(accept === undefined ? {} : { accept }),
    });
    const events: Event[] = [];
    const read = async () => {
      for await (const line of readLines(stream.body)) events.push(JSON.parse(line.toString('utf8')) as Event);
    };
    const ended = read().catch((error: unknown) => {
      if (!abort.signal.aborted) throw error;
    });
    return { events, ended };
  }

  const seen = (events: Event[]) => events.map(({ type, object }) => `${type} ${object.metadata?.name ?? ''}`);
  async function listVersion(): Promise<string> {
    return (await env.client.request<SessionList>({ path: path() })).metadata.resourceVersion ?? '';
  }

  it('begin with the state there is, then tell every change in order, ending with DELETED under the version of the deletion', async () => {
    await create('w1');
    const { events } = await watch({ resourceVersion: '0', fieldSelector: 'metadata.name=w1' });
    await until('w1 to be ready', () => events.at(-1)?.object.status?.phase === 'Ready', { seen: () => seen(events) });
    await remove('w1');
    await until('the deletion', () => events.at(-1)?.type === 'DELETED', { seen: () => seen(events) });
    expect(events[0]?.type).to.equal('ADDED');
    const versions = events.map(({ object }) => BigInt(object.metadata.resourceVersion ?? '0'));
    expect(versions).to.deep.equal([...new Set(versions)].sort((a, b) => (a < b ? -1 : 1)));
    expect(events.at(-1)?.object.spec).to.include({ idleTimeout: '15m' });
  });

  it('go on from a resourceVersion without a gap and without repeating anything', async () => {
    const from = await listVersion();
    await create('w2');
    await create('w3');
    await remove('w2');
    const { events } = await watch({ resourceVersion: from });
    await until('all three changes', () => seen(events).includes('DELETED w2') && seen(events).includes('ADDED w3'), {
      seen: () => seen(events),
    });
    expect(seen(events).filter((text) => text === 'ADDED w2')).to.have.length(1);
    expect(events.every(({ object }) => BigInt(object.metadata.resourceVersion ?? '0') > BigInt(from))).to.equal(true);
  });

  it('tell only what is selected', async () => {
    const { events } = await watch({ resourceVersion: await listVersion(), labelSelector: 'team=red' });
    await create('w4', { team: 'blue' });
    await create('w5', { team: 'red' });
    await remove('w4');
    await remove('w5');
    await until('the end of w5', () => seen(events).includes('DELETED w5'));
    expect(new Set(events.map(({ object }) => object.metadata.name))).to.deep.equal(new Set(['w5']));
  });

  it('turn a session that leaves or enters the selection into DELETED and ADDED', async () => {
    const { events } = await watch({ resourceVersion: await listVersion(), fieldSelector: 'status.phase=Ready' });
    await create('w6');
    await until('w6 to enter', () => seen(events).includes('ADDED w6'));
    await remove('w6');
    await until('w6 to leave', () => seen(events).includes('DELETED w6'));
    expect(events.filter(({ object }) => object.metadata.name === 'w6')[0]?.object.status?.phase).to.equal('Ready');
  });

  it('as WatchList send the state as fresh as a read, then the marked bookmark, then changes', async () => {
    await create('w7');
    const { events } = await watch({
      sendInitialEvents: 'true',
      resourceVersionMatch: 'NotOlderThan',
      allowWatchBookmarks: 'true',
    });
    const bookmark = await until('the bookmark', () => events.find(({ type }) => type === 'BOOKMARK'));
    expect(bookmark.object.metadata.annotations).to.deep.equal({ 'k8s.io/initial-events-end': 'true' });
    const before = events.slice(0, events.indexOf(bookmark));
    expect(seen(before)).to.include('ADDED w7');
    await create('w8');
    await until('a change after it', () => seen(events).includes('ADDED w8'));
  });

  it('as WatchList of an empty namespace send the bookmark at once', async () => {
    const { events } = await watch({
      sendInitialEvents: 'true',
      resourceVersionMatch: 'NotOlderThan',
      allowWatchBookmarks: 'true',
      labelSelector: 'nobody=has',
    });
    await until('the bookmark', () => events.length > 0);
    expect(events.map(({ type }) => type)).to.deep.equal(['BOOKMARK']);
  });

  it('from a version that is gone are told so with 410 and end', async () => {
    const { events, ended } = await watch({ resourceVersion: '1' });
    await ended;
    expect(events).to.have.length(1);
    expect(events[0]).to.deep.include({ type: 'ERROR' });
    expect(events[0]?.object).to.deep.include({ kind: 'Status', code: 410, reason: 'Expired' });
  });

  it('end by themselves after timeoutSeconds', async () => {
    const { ended } = await watch({ timeoutSeconds: '1', resourceVersion: '0' });
    await ended;
  });

  it('as tables carry the columns once', async () => {
    const { events } = await watch(
      { resourceVersion: await listVersion(), fieldSelector: 'metadata.name=w9' },
      'application/json;as=Table;v=v1;g=meta.k8s.io',
    );
    await create('w9');
    await until('two events', () => events.length >= 2);
    expect(events[0]?.object.columnDefinitions).to.be.an('array');
    expect(events[1]?.object.columnDefinitions).to.equal(null);
    expect(events[1]?.object.rows?.[0]?.cells.slice(0, 2)).to.deep.equal(['w9', 'none']);
  });

  it('refuse options that contradict each other', async () => {
    const answer = await env.client.requestRaw({ path: path(), query: { watch: 'true', sendInitialEvents: 'true' } });
    expect(answer.status).to.equal(422);
  });
});
