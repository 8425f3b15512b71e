import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { loadClusterConfig } from '../../../../apis/client/kubeconfig.ts';
import type { Session } from '../../../../apis/v1alpha1/types.ts';
import type { TestCluster } from '../../../support/cluster.ts';
import { until } from '../../../support/until.ts';
import { Columns, comparable } from './comparable.ts';
import { type Step, untilRemembered } from './compare.ts';
import { differencesBetween } from './differences.ts';
import { type NormalAnswer, Normalizer } from './normalize.ts';
import { Side, type SideName } from './side.ts';
import { useTwin } from './twin.ts';
import { Wire, type WireRequest } from './wire.ts';

/** Requests that change nothing, so that all cases of a suite share their objects. */
export interface ReadCase {
  name: string;
  requests: readonly Step[];
}

/** The objects that every case finds: `a0` … `a5`, the even ones of runtime `none`, `a4` and `a5` running. */
const count = 6;
export const suiteLabel = 'suite';

/** For how long a case is asked again that may be answered by what is not yet, or not whole. */
const patienceMs = 20_000;

/** How many cases are under way at once: many wait for their time to be over. */
const parallel = 24;

/** Declares one test for each case; all requests are on their way from the beginning of the suite on. */
export function compareReads(env: TestCluster, cases: readonly ReadCase[]): void {
  useTwin(env);
  const space = env.namespace('reads');
  const results = new Map<ReadCase, Promise<string[]>>();
  let wire: Wire | undefined;
  before('objects are made and all requests are sent', async function () {
    this.timeout(240_000);
    const open = new Wire(await loadClusterConfig(env.cluster.plane.kubeconfigs.admin));
    wire = open;
    const given = await makeObjects(env, open, space.name);
    const waiting = [...cases];
    const worker = async () => {
      for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
        const run = compareAtRest(open, one, space.name, given);
        run.catch(() => undefined);
        results.set(one, run);
        await Promise.allSettled([run]);
      }
    };
    await Promise.all(Array.from({ length: parallel }, worker));
  });
  after(async () => {
    await wire?.close();
  });
  for (const one of cases) {
    it(one.name, async () => {
      expect((await results.get(one))?.join('\n')).to.equal('');
    });
  }
}

/**
 * What is read from memory may be behind for a moment, on either side, and a busy machine may not have written all of a watch
 * when its second is over; nothing else is asked again.
 */
async function compareAtRest(...of: Parameters<typeof compare>): Promise<string[]> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const { differences, sent } = await compare(...of);
    if (differences.length === 0 || performance.now() > deadline || !sent.some(mayLag)) return differences;
    await delay(1_000);
  }
}

/** Only what asks for any version, and watches. */
function mayLag({ query }: WireRequest): boolean {
  const asked = new URLSearchParams(query as string | Record<string, string> | undefined);
  return asked.get('resourceVersion') === '0' || asked.has('watch');
}

async function compare(
  wire: Wire,
  one: ReadCase,
  namespace: string,
  given: Record<SideName, Session>,
): Promise<{ differences: string[]; sent: WireRequest[] }> {
  const sent: WireRequest[] = [];
  const answersOf = async (name: SideName): Promise<NormalAnswer[]> => {
    const side = new Side(name, { namespace, name: 'a0' });
    side.given = given[name];
    const normalizer = new Normalizer(side, { managedFields: 'ignore' });
    const columns = new Columns();
    const normal: NormalAnswer[] = [];
    for (const step of one.requests) {
      const request = step(side);
      sent.push(request);
      const answer = await wire.send(request);
      side.answers.push(answer);
      normal.push(normalizer.answer(comparable(answer, columns)));
    }
    return normal;
  };
  const [session, twin] = await Promise.all([answersOf('session'), answersOf('twin')]);
  return { differences: differencesBetween({ answers: session }, { answers: twin }), sent };
}

/** Makes the same objects on both sides, with the same status, and tells the first of each. */
async function makeObjects(env: TestCluster, wire: Wire, namespace: string): Promise<Record<SideName, Session>> {
  const runtimes = `/apis/runtime.agentcube.volcano.sh/v1alpha1/namespaces/${namespace}/codeinterpreters`;
  const spec = { authMode: 'sojourn', template: { image: 'local/none' } };
  const apiVersion = 'runtime.agentcube.volcano.sh/v1alpha1';
  const body = { apiVersion, kind: 'CodeInterpreter', metadata: { name: 'other' }, spec };
  await env.client.request({ method: 'POST', path: runtimes, body });
  const sides = (['session', 'twin'] as const).map((name) => new Side(name, { namespace, name: 'a0' }));
  const [sessions, twins] = sides as [Side, Side];
  for (const side of sides) {
    for (let i = 0; i < count; i += 1) {
      const metadata = { name: `a${i}`, labels: labelsOf(i, namespace), annotations: { note: `number ${i}` } };
      const runtimeRef = { kind: 'CodeInterpreter', name: i % 2 === 0 ? 'none' : 'other' };
      const object = side.manifest({ metadata, spec: { runtimeRef, suspended: i < 4 } });
      const headers = { 'content-type': 'application/json' };
      const made = await wire.send({ method: 'POST', path: side.collection, body: object, headers });
      expect(made.status, made.text).to.equal(201);
    }
  }
  let last = '';
  const atRest = await until('the sessions to be at rest', async () => {
    const { items } = await env.client.request<{ items: Session[] }>({ path: sessions.collection });
    const seen = items.map(({ metadata }) => metadata.resourceVersion).join();
    const isAtRest = seen === last && items.every(({ status }) => ['Suspended', 'Ready'].includes(status?.phase ?? ''));
    last = seen;
    return isAtRest ? items : undefined;
  });
  for (const { metadata, status } of atRest) {
    const patch = { method: 'PATCH', path: `${twins.item(metadata.name)}/status`, body: { status } } as const;
    await env.client.request({ ...patch, contentType: 'application/merge-patch+json' });
  }
  const given = { session: await writtenLast(env, sessions), twin: await writtenLast(env, twins) };
  for (const side of sides) await untilRemembered(wire, side, given[side.side]);
  return given;
}

/** The first object, written again, so that all others are there at its version. */
async function writtenLast(env: TestCluster, side: Side): Promise<Session> {
  const body = { metadata: { annotations: { last: 'yes' } } };
  const contentType = 'application/merge-patch+json';
  return await env.client.request<Session>({ method: 'PATCH', path: side.item(), body, contentType });
}

function labelsOf(i: number, suite: string): Record<string, string> {
  return {
    [suiteLabel]: suite,
    i: String(i),
    parity: i % 2 === 0 ? 'even' : 'odd',
    'example.com/half': i < 3 ? 'first' : 'second',
    ...(i === 5 ? { empty: '' } : {}),
  };
}

/** A list of the suite's namespace. */
export function listed(side: Side, query: string, headers: Record<string, string> = {}): WireRequest {
  return { method: 'GET', path: side.collection, query, headers };
}

/** The same objects across namespaces, where others may be there too. */
export function listedEverywhere(side: Side, query = ''): WireRequest {
  const own = `labelSelector=${suiteLabel}%3D${side.namespace}`;
  return { method: 'GET', path: side.everywhere, query: query === '' ? own : `${query}&${own}` };
}
