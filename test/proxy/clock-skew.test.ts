import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import type { Session, SessionSpec } from '../../apis/v1alpha1/types.ts';
import { type DirectApiserver, directApiserver } from '../apiserver/pools/support/replicas.ts';
import { callerToken, sessionsPath } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';
import { https } from '../support/http.ts';
import { until } from '../support/until.ts';
import { Cleanup } from './support/cleanup.ts';

const idleSeconds = 10;
/** By the rule a session is let alone for its idle timeout and one flush interval; a clock may add its skew. */
const longestSeconds = idleSeconds + 5 + 5;
/** What the controller, a watch and this machine may take. */
const slackSeconds = 15;

type IdleAction = 'Delete' | 'Suspend';
type Clock = 'wrong' | 'right';

/** Clocks that are wrong at the same time, by how many milliseconds, and the sessions that are created and used with them. */
type Round = readonly { name: string; aheadMs: number; idleActions: readonly IdleAction[] }[];

/**
 * Each clock with the sessions that it endangers: one that is behind has the controller delete too early, one that is ahead
 * suspends too early. Side by side these do not meet: nobody but who is called looks at the time of a session that is to be
 * deleted, and whose clock is behind comes too late to suspend.
 */
const dangers: readonly Round[] = [
  [
    { name: 'ahead', aheadMs: 5_000, idleActions: ['Suspend'] },
    { name: 'behind', aheadMs: -5_000, idleActions: ['Delete'] },
  ],
];
/** Each clock with all sessions; one after the other, as the two differ by ten seconds. */
const everything: readonly Round[] = [
  [{ name: 'ahead', aheadMs: 5_000, idleActions: ['Delete', 'Suspend'] }],
  [{ name: 'behind', aheadMs: -5_000, idleActions: ['Delete', 'Suspend'] }],
];
/** `SOJOURN_CLOCK_SKEW=all` takes twice as long. */
const rounds = process.env.SOJOURN_CLOCK_SKEW === 'all' ? everything : dangers;

/** An API server and a proxy with a clock of their own. */
interface WrongPair {
  name: string;
  apiserver: DirectApiserver;
  proxyUrl: string;
}

describe('processes whose clocks are five seconds ahead of the others, or behind', () => {
  const env = useCluster();
  const space = env.namespace('skew');
  const cleanup = new Cleanup();
  let token = '';

  /** They work beside those of the cluster, whose clocks are right. */
  async function startPair(name: string, aheadMs: number): Promise<WrongPair> {
    const preload = new URL(`../support/skewed-clock.ts?ms=${aheadMs}`, import.meta.url).href;
    const nodeFlags = ['--import', preload];
    const { sojourn } = env.cluster;
    const server = await sojourn.startApiserverReplica(`sojourn-apiserver-${name}`, [], nodeFlags);
    cleanup.add(server.process);
    const proxy = await sojourn.startProxyReplica(`sojourn-proxy-${name}`, [], nodeFlags);
    cleanup.add(proxy.process);
    const apiserver = await directApiserver(env, server.port);
    cleanup.add({ stop: async () => await apiserver.client.close() });
    return { name, apiserver, proxyUrl: `https://localhost:${proxy.port}` };
  }

  const path = (name: string) => `${sessionsPath(space.name)}/${name}`;
  const find = async (name: string): Promise<Session | undefined> => {
    const { status, body } = await env.client.requestRaw({ path: path(name) });
    return status === 404 ? undefined : (JSON.parse(body.toString()) as Session);
  };
  const isReady = async (name: string) => (await find(name))?.status?.phase === 'Ready';

  /** What becomes of sessions that are created and used through a pair. */
  function lives({ name: pair, apiserver, proxyUrl }: WrongPair, idleAction: IdleAction): Promise<void>[] {
    const create = async (name: string, more: Partial<SessionSpec> = {}) => {
      const { client, headers } = apiserver;
      const spec: SessionSpec = {
        runtimeRef: { kind: 'CodeInterpreter', name: 'py' },
        idleTimeout: `${idleSeconds}s`,
        idleAction,
        ...more,
      };
      const body = {
        apiVersion: 'sojourn.dev/v1alpha1',
        kind: 'Session',
        metadata: { name },
        spec,
      };
      await client.request({ method: 'POST', path: sessionsPath(space.name), headers, body });
    };
    const createReady = async (name: string) => {
      await create(name);
      await until(`${name} to be Ready`, async () => await isReady(name), { deadlineMs: 60_000 });
    };
    const call = async (name: string, clock: Clock) => {
      const front = clock === 'wrong' ? proxyUrl : env.cluster.proxyUrl;
      const headers = { authorization: `Bearer ${token}` };
      return await https({ url: `${front}${path(name)}/proxy/health`, ca: env.ca, headers });
    };
    const used = async (name: string, clock: Clock) => {
      const answer = await call(name, clock);
      expect(answer.status, `${name}: ${answer.text}`).to.equal(200);
    };
    /** Resolves when a proxy knows what has become of a session, as is seen by a later one: it hears of them in their order. */
    const heard = async (name: string, clock: Clock) => {
      const later = `${name}-heard`;
      await create(later, { suspended: true });
      expect((await call(later, clock)).status, later).to.equal(409);
    };
    /** Seconds from the begin of a session's last call until something is seen of it. */
    const secondsUntilIdle = async (name: string, seen: (session: Session | undefined) => boolean) => {
      const since = performance.now();
      await used(name, 'wrong');
      await until(`the end of ${name}`, async () => seen(await find(name)), { deadlineMs: 60_000 });
      return (performance.now() - since) / 1000;
    };
    const deleted = async (name: string) => {
      await createReady(name);
      const seconds = await secondsUntilIdle(name, (session) => session === undefined);
      expect(seconds, name).to.be.within(idleSeconds, longestSeconds + slackSeconds);
      await heard(name, 'wrong');
      expect((await call(name, 'wrong')).status, name).to.equal(410);
    };
    const suspended = async (name: string, wokenBy: Clock) => {
      await createReady(name);
      const seconds = await secondsUntilIdle(name, (session) => session?.status?.phase === 'Suspended');
      expect(seconds, name).to.be.within(idleSeconds, longestSeconds + slackSeconds);
      await heard(name, wokenBy);
      await used(name, wokenBy);
      await until(`${name} to be Ready`, async () => await isReady(name), { deadlineMs: 60_000 });
    };
    const inUse = async (name: string, mostly: Clock) => {
      await createReady(name);
      const end = performance.now() + 1.1 * longestSeconds * 1000;
      const seldom = mostly === 'wrong' ? 'right' : 'wrong';
      // Through either, so that each has to believe what the other one has written.
      for (let turn = 0; performance.now() < end; turn += 1) {
        await used(name, turn % 4 === 3 ? seldom : mostly);
        expect(await isReady(name), name).to.equal(true);
        await delay(1_000);
      }
    };
    const clocks = ['wrong', 'right'] as const;
    const named = (what: string) => `${pair}-${what}-${idleAction.toLowerCase()}`;
    return [
      ...clocks.map((clock) => inUse(named(`used-${clock}`), clock)),
      ...(idleAction === 'Delete'
        ? [deleted(named('left'))]
        : clocks.map((clock) => suspended(named(`woken-${clock}`), clock))),
    ];
  }

  for (const round of rounds) {
    const title = round.map(({ name, idleActions }) => `${name}: ${idleActions.join(', ')}`).join('; ');
    it(`end no session early or late, suspend none in use, and resume (${title})`, async function () {
      this.timeout(180_000);
      token ||= await callerToken(env, space.name);
      const pairs: { pair: WrongPair; idleAction: IdleAction }[] = [];
      for (const { name, aheadMs, idleActions } of round) {
        const pair = await startPair(name, aheadMs);
        pairs.push(...idleActions.map((idleAction) => ({ pair, idleAction })));
      }
      await Promise.all(pairs.flatMap(({ pair, idleAction }) => lives(pair, idleAction)));
    });
  }
});
