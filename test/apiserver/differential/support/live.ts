import { expect } from 'chai';
import { loadClusterConfig } from '../../../../apis/client/kubeconfig.ts';
import type { Session } from '../../../../apis/v1alpha1/types.ts';
import type { TestCluster } from '../../../support/cluster.ts';
import { until } from '../../../support/until.ts';
import { Columns, comparable } from './comparable.ts';
import { type DifferentialCase, give, type Step, untilRemembered } from './compare.ts';
import { differencesBetween } from './differences.ts';
import { type NormalAnswer, Normalizer } from './normalize.ts';
import { Side, type SideName } from './side.ts';
import { useTwin } from './twin.ts';
import { type OpenAnswer, Wire } from './wire.ts';

/** A watch of one object that is changed meanwhile. */
export interface LiveCase {
  /** The behaviour. */
  name: string;
  given: NonNullable<DifferentialCase['given']>;
  /** Selectors, besides the name. */
  query: string;
  accept: string;
  /** Whether it begins with what there is, or after it. */
  from: 'state' | 'version';
  /** Types of the events that come before any change. */
  initial: readonly string[];
  /** Sent one after the other, each when the event of the one before has come; and the types of their events. */
  changes: readonly (readonly [Step, string])[];
}

/** Declares one test for each case. Call it inside of a `describe`. */
export function compareLive(env: TestCluster, cases: readonly LiveCase[]): void {
  useTwin(env);
  const space = env.namespace('live');
  let wire: Wire;
  before(async () => {
    wire = new Wire(await loadClusterConfig(env.cluster.plane.kubeconfigs.admin));
  });
  after(async () => {
    await wire.close();
  });
  for (const [index, one] of cases.entries()) {
    it(one.name, async () => {
      const sideOf = (side: SideName) => new Side(side, { namespace: space.name, name: `live-${index}` });
      const sides = { session: sideOf('session'), twin: sideOf('twin') };
      await Promise.all(Object.values(sides).map((side) => give(wire, side, { given: one.given, atRest: true })));
      await copyStatus(wire, sides);
      const [session, twin] = await Promise.all([play(wire, one, sides.session), play(wire, one, sides.twin)]);
      expect(differencesBetween(session, twin).join('\n')).to.equal('');
      expect(session.types).to.deep.equal([...one.initial, ...one.changes.map(([, type]) => type)]);
    });
  }
}

/** A twin has no controller, and its phase is in a column. */
async function copyStatus(wire: Wire, { session, twin }: Record<SideName, Side>): Promise<void> {
  const { status, text } = await wire.send({
    method: 'PATCH',
    path: `${twin.item()}/status`,
    headers: { 'content-type': 'application/merge-patch+json' },
    body: { status: session.given?.status },
  });
  expect(status, text).to.equal(200);
  twin.given = JSON.parse(text) as Session;
  // A watch that begins with what there is may begin with what is remembered.
  await untilRemembered(wire, twin, twin.given);
}

/** What came of a watch. */
interface Watched {
  types: string[];
  answer: NormalAnswer;
  /** Of every change that was answered with an object: whether its event is of that object's version. */
  sameVersions: boolean[];
}

async function play(wire: Wire, { query, accept, from, initial, changes }: LiveCase, side: Side): Promise<Watched> {
  const version = from === 'state' ? '' : (side.given?.metadata.resourceVersion ?? '');
  const selected = `fieldSelector=metadata.name%3D${side.name}&${query}`;
  const watch = await wire.open({
    method: 'GET',
    path: side.collection,
    query: `watch=true&resourceVersion=${version}&${selected}`,
    headers: { accept },
  });
  const sameVersions: boolean[] = [];
  try {
    await untilEvents(watch, initial.length);
    for (const [at, [step, type]] of changes.entries()) {
      const changed = await wire.send(step(side));
      expect(changed.status, changed.text).to.equal(200);
      await untilEvents(watch, initial.length + at + 1);
      const { metadata } = JSON.parse(changed.text) as { metadata?: { resourceVersion?: string } };
      if (type === 'DELETED' && metadata?.resourceVersion === undefined) continue;
      sameVersions.push(eventsOf(watch).at(-1)?.includes(`"resourceVersion":"${metadata?.resourceVersion}"`) === true);
    }
  } finally {
    watch.close();
  }
  const types = eventsOf(watch).map((line) => (JSON.parse(line) as { type: string }).type);
  const answer = new Normalizer(side, { managedFields: 'ignore' }).answer(comparable(watch, new Columns()));
  return { types, answer, sameVersions };
}

function eventsOf({ text }: OpenAnswer): string[] {
  return text.split('\n').slice(0, -1);
}

async function untilEvents(watch: OpenAnswer, count: number): Promise<void> {
  await until(`event ${count}`, () => eventsOf(watch).length >= count, { seen: () => watch });
}
