import { expect } from 'chai';
import { loadClusterConfig } from '../../apis/client/kubeconfig.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { Side, type SideName } from '../apiserver/differential/support/side.ts';
import { useTwin } from '../apiserver/differential/support/twin.ts';
import type { SessionList } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';
import { until } from '../support/until.ts';
import { Connections, StrictInformer } from './support/informer-client.ts';
import { restartKubeApiserver } from './support/kube-apiserver.ts';

const sides = ['session', 'twin'] as const;
const shapes = {
  objects: 'application/json',
  metadata: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
  tables: 'application/json;as=Table;v=v1;g=meta.k8s.io',
};
const turns = ['1', '2'];

/** Which objects an informer is to have at the end. */
interface Watcher {
  side: SideName;
  informer: StrictInformer;
  selects: (object: Session) => boolean;
}

describe('when kube-apiserver is killed and started again', () => {
  const env = useCluster();
  useTwin(env);
  const space = env.namespace('restarted');
  const sideOf = (side: SideName, name = '') => new Side(side, { namespace: space.name, name });
  const watchers: Watcher[] = [];
  let connections: Connections;

  before('informers of both', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await create(name);
    connections = new Connections(await loadClusterConfig(env.cluster.plane.kubeconfigs.admin), 4);
    for (const side of sides) {
      for (const accept of Object.values(shapes)) watch(side, accept, {}, () => true);
      for (const turn of turns) {
        const selects = ({ metadata }: Session) => metadata.labels?.turn === turn;
        watch(side, shapes.objects, { labelSelector: `turn=${turn}` }, selects);
      }
      watch(side, shapes.objects, { fieldSelector: 'metadata.name=b' }, ({ metadata }) => metadata.name === 'b');
    }
    await Promise.all(watchers.map(({ informer }) => informer.start()));
  });
  after(async () => {
    await Promise.all(watchers.map(({ informer }) => informer.stop()));
    connections.close();
  });

  function watch(side: SideName, accept: string, query: Record<string, string>, selects: Watcher['selects']): void {
    const informer = new StrictInformer(connections, { path: sideOf(side).collection, query, accept });
    watchers.push({ side, informer, selects });
  }

  async function create(name: string): Promise<void> {
    for (const side of sides.map((each) => sideOf(each, name))) {
      await env.client.request({ method: 'POST', path: side.collection, body: side.manifest() });
    }
  }

  async function turn(name: string, to: string): Promise<void> {
    for (const side of sides) {
      await env.client.request({
        method: 'PATCH',
        path: sideOf(side).item(name),
        contentType: 'application/merge-patch+json',
        body: { metadata: { labels: { turn: to } } },
      });
    }
  }

  async function remove(name: string): Promise<void> {
    for (const side of sides) await env.client.request({ method: 'DELETE', path: sideOf(side).item(name) });
  }

  /** Until every informer has what a list has. */
  async function areCurrent(): Promise<void> {
    for (const { side, informer, selects } of watchers) {
      await until(
        `an informer of the ${side} for ${JSON.stringify(informer.interest)} to be as the list`,
        async () => {
          const { items } = await env.client.request<SessionList>({ path: sideOf(side).collection });
          const expected = items.filter(selects).map(({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`);
          const seen = [...informer.state].map(([name, version]) => `${name}@${version}`);
          return expected.sort().join() === seen.sort().join();
        },
        { seen: () => [[...informer.state], informer.faults, String(informer.lastFailure)] },
      );
    }
  }

  it('informers of sessions have everything in the end, as those of a custom resource, and see nothing twice', async () => {
    await turn('a', '1');
    await turn('b', '1');
    await areCurrent();
    // These may be told before the end, or not.
    await turn('a', '2');
    await create('e');
    await remove('c');
    await restartKubeApiserver(env, async () => {
      const refused = await turn('b', '2').then(
        () => 'written',
        () => 'refused',
      );
      expect(refused).to.equal('refused');
    });
    await turn('b', '2');
    await remove('d');
    await create('c');
    await areCurrent();
    expect(watchers.flatMap(({ informer }) => informer.faults)).to.deep.equal([]);
    for (const { informer } of watchers) {
      expect(informer.watches).to.be.above(1);
      // kube-apiserver has lost its memory.
      expect(informer.relists).to.be.at.most(1);
    }
    // They go on.
    await turn('e', '1');
    await areCurrent();
  }).timeout(120_000);
});
