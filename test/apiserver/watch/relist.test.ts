import { expect } from 'chai';
import { createLog } from '../../../apis/runtime/log.ts';
import type { Session } from '../../../apis/v1alpha1/types.ts';
import { SessionCache } from '../../../apiserver/watch/session-cache.ts';
import { FaultyProxy } from '../../apis/client/support/faulty-proxy.ts';
import { type SessionList, sessionsPath } from '../../support/caller.ts';
import { useCluster } from '../../support/cluster.ts';
import { SandboxVersions } from '../../support/sandbox-versions.ts';
import { until } from '../../support/until.ts';
import { Follower } from './support/follower.ts';

const turns = ['0', '1', '2'];

describe('when the API server’s own watch has expired and it lists again', () => {
  const env = useCluster();
  const space = env.namespace('relist');
  const path = () => sessionsPath(space.name);
  const followers: Follower[] = [];
  let truth: SandboxVersions | undefined;
  let proxy: FaultyProxy;
  let cache: SessionCache;

  async function create(name: string): Promise<void> {
    const spec = { runtimeRef: { kind: 'CodeInterpreter', name: 'none' }, suspended: true };
    const body = {
      apiVersion: 'sojourn.dev/v1alpha1',
      kind: 'Session',
      metadata: { name, labels: { turn: '0' } },
      spec,
    };
    await env.client.request({ method: 'POST', path: path(), body });
  }

  async function turn(name: string, to: string): Promise<string> {
    const body = { metadata: { labels: { turn: to } } };
    const contentType = 'application/merge-patch+json';
    const changed = { method: 'PATCH', path: `${path()}/${name}`, contentType, body } as const;
    return (await env.client.request<Session>(changed)).metadata.resourceVersion ?? '';
  }

  const remove = async (name: string) => {
    await env.client.request({ method: 'DELETE', path: `${path()}/${name}` });
  };

  before(async function () {
    this.timeout(120_000);
    proxy = await FaultyProxy.open(env.asAccount('sojourn-apiserver'));
    cache = new SessionCache(proxy.client, createLog({ write: () => undefined }));
    for (const name of ['a', 'b', 'c', 'd']) await create(name);
    cache.start();
    await until('the cache', () => cache.synced);
    const list = await env.client.request<SessionList>({ path: path() });
    truth = SandboxVersions.follow(env.client, space.name, list.metadata.resourceVersion ?? '');
    const queries = [
      '',
      ...turns.map((each) => `labelSelector=turn%3D${each}`),
      'fieldSelector=status.phase%3DSuspended',
    ];
    for (const query of queries) followers.push(new Follower(cache, { namespace: space.name, query, list }));
    for (const follower of followers) follower.start();
  });
  after(async () => {
    truth?.stop();
    await Promise.all(followers.map((follower) => follower.stop()));
    await cache.stop();
    await proxy.stop();
  });

  /** The state of what a follower selects, as a list has it. */
  async function listed({ selects }: Follower): Promise<string[]> {
    const { items } = await env.client.request<SessionList>({ path: path() });
    return items.filter(selects).map(({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`);
  }

  it('those who watch see every change once and in order, also what came and went meanwhile', async () => {
    for (let round = 1; round <= 2; round += 1) {
      const lists = proxy.requests.list;
      // The watch breaks off, and when it is back, what it knew is too old. Both make it wait a little.
      proxy.spoil('watch', { kind: 'expired' });
      proxy.cut();
      await turn('b', String(round % 3));
      await create(`brief-${round}`);
      await turn(`brief-${round}`, '1');
      await remove(`brief-${round}`);
      await remove('c');
      await create('c');
      await until('another list', () => proxy.requests.list > lists);
      // Everybody sees one of these, and only then goes on from the new list.
      const first = BigInt(await turn('d', '0'));
      for (const each of ['1', '2', 'other']) await turn('d', each);
      const isBehind = ({ versions }: Follower) => BigInt(versions.at(-1) ?? '0') < first;
      await until('everybody to go on', () => !followers.some(isBehind), {
        seen: () => followers.map(({ query, versions, faults }) => ({ query, versions, faults })),
      });
    }
    const last = await turn('a', 'last');
    // What a controller writes after it may have come to one of the two.
    const untilLast = (versions: readonly string[] = []) => versions.slice(0, versions.indexOf(last) + 1);
    const both = () => [followers[0]?.versions, truth?.all].map(untilLast);
    await until('the last change', () => both().every(({ length }) => length > 0));
    const [seenByAll, happened] = both();
    expect(seenByAll).to.deep.equal(happened);
    for (const follower of followers) {
      const seen = () => [...follower.state].map((entry) => entry.join('@')).sort();
      await until(
        `${follower.query} to be as the list`,
        async () => (await listed(follower)).sort().join() === seen().join(),
        { seen },
      );
      expect(follower.faults, follower.query).to.deep.equal([]);
      expect(follower.watches, follower.query).to.be.at.least(3);
    }
  }).timeout(360_000);
});
