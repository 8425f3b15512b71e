import { expect } from 'chai';
import type { Session } from '../../../apis/v1alpha1/types.ts';
import type { SessionList } from '../../support/caller.ts';
import { useCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';
import { Pools, readSession, sessionBody } from './support/pools.ts';
import { type DirectApiserver, useTwoApiservers } from './support/replicas.ts';

const members = 10;
const creators = 50;

describe('two API servers', () => {
  const env = useCluster();
  const space = env.namespace('replicas');
  const servers = useTwoApiservers(env);
  const pools = Pools.of(env, space);

  const create = async ({ client, headers }: DirectApiserver, query: Record<string, string> = {}): Promise<Session> =>
    readSession(
      await client.requestRaw({
        method: 'POST',
        path: pools.sessionsPath,
        query,
        headers,
        body: sessionBody('many', { generateName: 'many-' }),
      }),
    );

  it(`give ${members} members to ${creators} creators at once, none twice, and start the others cold`, async function () {
    this.timeout(480_000);
    await pools.createRuntime({ name: 'many', size: members });
    const pool = await pools.full('many', members);
    const old = new Set((await pools.readyMembers(pool)).map(({ metadata }) => metadata.uid));
    for (const server of servers.both) {
      const names = new Set<string | undefined>();
      await until(
        'an API server to know all members',
        async () => {
          const { metadata, status } = await create(server, { dryRun: 'All' });
          if (status?.start === 'Warm') names.add(metadata.name);
          return names.size === members;
        },
        { deadlineMs: 60_000 },
      );
    }
    // It makes no new members meanwhile.
    const controller = env.cluster.plane.processes.find(({ name }) => name === 'agent-sandbox-controller');
    if (controller === undefined) throw new Error('the pool controller does not run');
    process.kill(controller.pid, 'SIGSTOP');
    let sessions: Session[];
    try {
      sessions = await Promise.all(
        Array.from({ length: creators }, async (_, index) => await create(servers.both[index % 2] as DirectApiserver)),
      );
    } finally {
      process.kill(controller.pid, 'SIGCONT');
    }
    const names = sessions.map(({ metadata }) => metadata.name ?? '');
    expect(new Set(names).size, 'different sessions').to.equal(creators);
    const warm = sessions.filter(({ status }) => status?.start === 'Warm');
    const taken = (await pools.sandboxes()).filter(({ metadata }) => old.has(metadata.uid));
    expect(taken.length, 'no member lost').to.equal(members);
    expect(warm.length, 'warm').to.equal(members);
    expect(sessions.filter(({ status }) => status?.start === 'Cold').length, 'cold').to.equal(creators - members);
    const uids = new Set(taken.map(({ metadata }) => metadata.name));
    expect(warm.filter(({ metadata }) => uids.has(metadata.name)).length, 'each member once').to.equal(members);
    // Its controller does so after it has started the others, for half a minute on a quick machine.
    await pools.full('many', members, 180_000);
    const list = await env.client.request<SessionList>({ path: pools.sessionsPath });
    expect(list.items.map(({ metadata }) => metadata.name)).to.include.members(names);
    const stored = new Map(list.items.map((session) => [session.metadata.name, session.metadata.uid]));
    for (const { metadata } of sessions) expect(stored.get(metadata.name), metadata.name).to.equal(metadata.uid);
  });

  it('keep one pool of each runtime between them', async function () {
    this.timeout(360_000);
    for (let turn = 0; turn < 3; turn += 1) {
      await pools.patchRuntime('many', { spec: { warmPoolSize: 2, template: { args: [`turn ${turn}`] } } });
      await until(
        'one pool of this turn',
        async () => {
          const [pool, ...others] = await pools.pools('many');
          if (pool === undefined || others.length > 0) return undefined;
          const template = await pools.template(pool.metadata.name ?? '').catch(() => undefined);
          return template?.spec.podTemplate?.spec.containers?.[0]?.args?.[0] === `turn ${turn}`;
        },
        // An old pool waits for a minute at most.
        { deadlineMs: 90_000 },
      );
    }
    const created = Array<string>(4).fill('PoolCreated');
    await pools.toldOf('many', [...created, ...Array<string>(3).fill('PoolReplaced')]);
  });
});
