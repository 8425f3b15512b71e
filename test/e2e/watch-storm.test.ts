import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { loadClusterConfig } from '../../apis/client/kubeconfig.ts';
import type { KubeClient } from '../../apis/client/transport.ts';
import { sandboxApi } from '../../apis/names.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { type SessionList, sessionsPath } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';
import { SandboxVersions } from '../support/sandbox-versions.ts';
import { until } from '../support/until.ts';
import { Connections, type Interest, StrictInformer } from './support/informer-client.ts';

/** How much of a storm: `SOJOURN_STORM=full npm test -- watch-storm` is 500 watchers and 1,000 sessions, for two minutes. */
const { sessions, kills, part } =
  process.env.SOJOURN_STORM === 'full'
    ? { sessions: 1_000, kills: 5, part: 1 }
    : { sessions: 250, kills: 3, part: 1 / 5 };
const shards = 10;
/** At most; how many it are in the end depends on how fast kube-apiserver writes with everybody watching. */
const changeEveryMs = 20;
/** kube-apiserver queues the requests of one account: too many of ours would keep the API server's own first list waiting. */
const mostChangesAtOnce = 8;
/** For so long everybody is at peace before each kill, and until so many changes were made: machines are more or less busy. */
const peaceMs = 2_000;
const changesInPeace = 60;

const json = 'application/json';
const partial = 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io';
const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';

/** Who watches what, and which sessions are in it at the end. */
interface Watcher {
  informer: StrictInformer;
  selects: (session: Session) => boolean;
}

describe('watches while the API server is killed again and again', () => {
  const env = useCluster();
  const space = env.namespace('storm');

  it(`${500 * part} watchers of ${sessions} sessions that change up to ${1000 / changeEveryMs} times a second miss nothing, see nothing twice, and hardly ever list again`, async () => {
    const first = await template(env.client, space.name);
    const herd = new Herd(env.asAccount('sojourn-apiserver'), space.name, first);
    // From before the herd on: the lists that watchers begin with are from memory, and may be behind it.
    const truth = SandboxVersions.follow(env.client, space.name, first.metadata.resourceVersion ?? '');
    const connections = new Connections(await loadClusterConfig(env.cluster.plane.kubeconfigs.admin), 10);
    const watchers = createWatchers(connections, sessionsPath(space.name));
    try {
      await herd.fill(sessions);
      for (let i = 0; i < watchers.length; i += 50) {
        await Promise.all(watchers.slice(i, i + 50).map(({ informer }) => informer.start()));
      }
      const changing = herd.changeUntilStopped();
      const peace = async () => {
        const before = herd.changes;
        await delay(peaceMs);
        await until('the storm to go on', () => herd.changes >= before + changesInPeace, { seen: () => herd.changes });
      };
      for (let kill = 0; kill < kills; kill += 1) {
        await peace();
        await env.kill('sojourn-apiserver');
        await env.cluster.sojourn.startApiserver();
      }
      await peace();
      herd.stop();
      await changing;
      let differing: unknown;
      // Listed anew each time: the controller goes on writing for a while what it has to say of the last changes.
      const areAllAsTheList = async () => {
        const { items } = await env.client.request<SessionList>({ path: sessionsPath(space.name) });
        const other = watchers.find(
          ({ informer, selects }) => digest(informer.state) !== digest(versionsOf(items, selects)),
        );
        differing = other === undefined ? undefined : differenceOf(other, items);
        return other === undefined;
      };
      await until('all watchers to be as the list', areAllAsTheList, { deadlineMs: 60_000, seen: () => differing });
      const total = (count: (informer: StrictInformer) => number) =>
        watchers.reduce((sum, { informer }) => sum + count(informer), 0);
      expect(watchers.flatMap(({ informer }) => informer.faults)).to.deep.equal([]);
      expect(watchers).to.have.length(500 * part);
      expect(total(({ versions }) => versions.length)).to.be.above(herd.changes * 50 * part);
      expect(
        total(({ watches }) => watches),
        'watches that were begun',
      ).to.be.at.least(kills * watchers.length);
      // The bridge to kube-apiserver takes everybody over each restart.
      expect(
        total(({ relists }) => relists),
        'lists that were repeated',
      ).to.be.below(watchers.length / 20);
      const ofEverything = watchers.find(
        ({ informer }) => isOfEverything(informer) && informer.relists === 0,
      )?.informer;
      if (ofEverything === undefined) throw new Error('all who watch everything had to list again');
      const { begun, versions } = ofEverything;
      await until('the last change', () => versions.at(-1) === truth.all.at(-1), {
        seen: () => ({ seen: versions.at(-1), happened: truth.all.at(-1), failure: truth.lastFailure }),
      });
      // The state does not tell of an event that was lost before another one of the same session.
      expect(versions).to.deep.equal(truth.all.filter((version) => BigInt(version) > begun));
    } finally {
      truth.stop();
      await Promise.all(watchers.map(({ informer }) => informer.stop()));
      connections.close();
    }
  }).timeout(400_000);
});

/** 500, or a part of them: of everything in three formats, of a label that never changes, of one that does, of a phase, of one name. */
function createWatchers(connections: Connections, path: string): Watcher[] {
  const watchers: Watcher[] = [];
  const add = (count: number, interest: Omit<Interest, 'path'>, selects: (session: Session) => boolean) => {
    for (let i = 0; i < count * part; i += 1) {
      watchers.push({ informer: new StrictInformer(connections, { path, ...interest }), selects });
    }
  };
  const label = (key: string, value: string) => (session: Session) => session.metadata.labels?.[key] === value;
  for (const accept of [json, partial, table]) add(25, { query: {}, accept }, () => true);
  for (let shard = 0; shard < shards; shard += 1) {
    add(15, { query: { labelSelector: `shard=${shard}` }, accept: json }, label('shard', String(shard)));
  }
  for (const turn of ['0', '1', '2', '3']) {
    add(25, { query: { labelSelector: `turn=${turn}` }, accept: partial }, label('turn', turn));
  }
  add(
    25,
    { query: { fieldSelector: 'status.phase=Suspended', labelSelector: 'shard in (1,2,3)' }, accept: json },
    ({ metadata, status }) => status?.phase === 'Suspended' && ['1', '2', '3'].includes(metadata.labels?.shard ?? ''),
  );
  for (let i = 0; i < 150 * part; i += 1) {
    const name = `s-${i}`;
    add(
      1,
      { query: { fieldSelector: `metadata.name=${name}` }, accept: json },
      ({ metadata }) => metadata.name === name,
    );
  }
  return watchers;
}

function isOfEverything({ interest }: StrictInformer): boolean {
  return Object.keys(interest.query).length === 0;
}

function versionsOf(items: readonly Session[], selects: Watcher['selects']): (readonly [string, string])[] {
  return items.filter(selects).map(({ metadata: { name = '', resourceVersion = '' } }) => [name, resourceVersion]);
}

/** What a watcher has otherwise than the list, and its faults. */
function differenceOf({ informer, selects }: Watcher, items: readonly Session[]): object {
  const { query } = informer.interest;
  const listed = new Map(versionsOf(items, selects));
  const held = new Map(informer.state);
  const names = [...new Set([...listed.keys(), ...held.keys()])].filter((name) => listed.get(name) !== held.get(name));
  const differences = names.slice(0, 5).map((name) => ({ name, listed: listed.get(name), held: held.get(name) }));
  return { query, count: names.length, differences, faults: informer.faults };
}

function digest(versions: Iterable<readonly [string | undefined, string | undefined]>): string {
  return [...versions]
    .map(([name, version]) => `${name}@${version}`)
    .sort()
    .join(' ');
}

/** The Sandbox of a session that has no Pod. */
async function template(client: KubeClient, namespace: string): Promise<Sandbox> {
  await client.request({
    method: 'POST',
    path: sessionsPath(namespace),
    body: {
      apiVersion: 'sojourn.dev/v1alpha1',
      kind: 'Session',
      metadata: { name: 'first' },
      spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'none' }, suspended: true },
    },
  });
  return await client.request<Sandbox>({ path: `${sandboxApi.path}/namespaces/${namespace}/sandboxes/first` });
}

/** Sessions that are changed in the store itself, so that changes go on while the API server is away. */
class Herd {
  changes = 0;
  readonly #client: KubeClient;
  readonly #path: string;
  readonly #template: Sandbox;
  readonly #names: string[] = [];
  #created = 0;
  #stopped = false;

  constructor(client: KubeClient, namespace: string, { apiVersion, kind, metadata, spec }: Sandbox) {
    this.#client = client;
    this.#path = `${sandboxApi.path}/namespaces/${namespace}/sandboxes`;
    const { labels, annotations } = metadata;
    this.#template = { apiVersion, kind, metadata: { labels, annotations }, spec } as Sandbox;
  }

  async fill(count: number): Promise<void> {
    const filler = async () => {
      while (this.#created < count) await this.#create();
    };
    await Promise.all(Array.from({ length: 16 }, filler));
  }

  stop(): void {
    this.#stopped = true;
  }

  /** One change every 20 ms. Resolves when it was told to stop and the last one is done. */
  async changeUntilStopped(): Promise<void> {
    const running = new Set<Promise<void>>();
    const begun = performance.now();
    for (let turn = 1; !this.#stopped; turn += 1) {
      const change = this.#change(turn).finally(() => running.delete(change));
      running.add(change);
      if (running.size >= mostChangesAtOnce) await Promise.race(running);
      await delay(Math.max(0, begun + turn * changeEveryMs - performance.now()));
    }
    await Promise.all(running);
  }

  async #change(turn: number): Promise<void> {
    this.changes += 1;
    if (turn % 10 === 0) return await this.#create();
    // Sessions are taken out while they are changed: two writes at once would be none to the one that comes second.
    const at = Math.floor(Math.random() * this.#names.length);
    const [name] = this.#names.splice(at, 1);
    if (name === undefined) return;
    const path = `${this.#path}/${name}`;
    if (turn % 10 === 5) {
      await this.#client.request({ method: 'DELETE', path });
      return;
    }
    await this.#client.request({
      method: 'PATCH',
      path,
      contentType: 'application/merge-patch+json',
      body: { metadata: { labels: { 'u.sojourn.dev/turn': String(turn % 4) } } },
    });
    this.#names.push(name);
  }

  async #create(): Promise<void> {
    const index = this.#created++;
    const name = `s-${index}`;
    const { metadata, ...rest } = this.#template;
    const labels = { ...metadata.labels, 'u.sojourn.dev/shard': String(index % shards) };
    await this.#client.request({
      method: 'POST',
      path: this.#path,
      body: { ...rest, metadata: { ...metadata, labels, name } },
    });
    this.#names.push(name);
  }
}
