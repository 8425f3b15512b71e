import { expect } from 'chai';
import { loadClusterConfig } from '../../../../apis/client/kubeconfig.ts';
import type { Session } from '../../../../apis/v1alpha1/types.ts';
import type { TestCluster } from '../../../support/cluster.ts';
import { until } from '../../../support/until.ts';
import { differencesBetween } from './differences.ts';
import { type IntendedDifference, intendedDifferences } from './intended.ts';
import { type NormalAnswer, type NormalizeOptions, Normalizer } from './normalize.ts';
import { outcome, type Shown } from './shown.ts';
import { Side, type SideName } from './side.ts';
import { useTwin } from './twin.ts';
import { Wire, type WireRequest } from './wire.ts';

/** A request, the same on both sides but for what it says of the side itself. */
export type Step = (side: Side) => WireRequest;

/** Requests that must be answered alike by Sessions and by their twin. */
export interface DifferentialCase {
  /** The behaviour. */
  name: string;
  /** An object that is there before the first request; members of metadata and spec are merged into a valid one. */
  given?: { metadata?: object; spec?: object };
  /** Whether no controller may write to it any more: its resourceVersion is that of the given one. */
  atRest?: boolean;
  /** Sent one after the other. */
  requests: readonly Step[];
  /** Set when the answers are meant to differ: by which row of the table, and what each side answers. */
  differs?: MeantDifference;
  /** Who owns which field is left out unless this is set. */
  managedFields?: 'compare';
}

/** A difference that is meant. Only what is shown of it passes: any other would be a mistake of ours. */
export interface MeantDifference extends Shown {
  row: IntendedDifference;
}

/** How many cases are under way at once. */
const parallel = 12;

/**
 * Declares one test for each case. Their requests are independent of each other, so they are all on their way from the
 * beginning of the suite on. Call it inside of a `describe`.
 */
export function compareCases(env: TestCluster, cases: readonly DifferentialCase[]): void {
  useTwin(env);
  const space = env.namespace('differential');
  const results = new Map<DifferentialCase, Promise<Answers>>();
  let wire: Wire | undefined;
  before('all requests are sent', async () => {
    const open = new Wire(await loadClusterConfig(env.cluster.plane.kubeconfigs.admin));
    wire = open;
    const isFree = limiter(parallel);
    for (const [index, one] of cases.entries()) {
      const run = isFree(() => answersTo(open, one, { namespace: space.name, name: `case-${index}` }));
      // Whoever awaits it is told; until then it is no unhandled rejection.
      run.catch(() => undefined);
      results.set(one, run);
    }
  });
  after(async () => {
    await Promise.allSettled(results.values());
    await wire?.close();
  });
  for (const one of cases) {
    const { differs } = one;
    const name =
      differs === undefined ? one.name : `${one.name} (meant to differ: ${intendedDifferences[differs.row]})`;
    it(name, async () => {
      const answers = await results.get(one);
      if (answers === undefined) throw new Error('the requests were never sent');
      const differences = differencesBetween({ answers: answers.session }, { answers: answers.twin });
      if (differs === undefined) {
        expect(differences.join('\n')).to.equal('');
        return;
      }
      expect(differences, 'the difference is gone').to.not.be.empty;
      const { of = outcome, session, twin } = differs;
      expect({ session: of(answers.session), twin: of(answers.twin) }).to.deep.equal({ session, twin });
    });
  }
}

/** What each side answered to the requests of a case. */
type Answers = Record<SideName, NormalAnswer[]>;

async function answersTo(
  wire: Wire,
  one: DifferentialCase,
  { namespace, name }: { namespace: string; name: string },
): Promise<Answers> {
  const options: NormalizeOptions = { managedFields: one.managedFields ?? 'ignore' };
  const answersOf = async (side: SideName) => await play(wire, one, new Side(side, { namespace, name }), options);
  const [session, twin] = await Promise.all([answersOf('session'), answersOf('twin')]);
  return { session, twin };
}

async function play(wire: Wire, one: DifferentialCase, side: Side, options: NormalizeOptions): Promise<NormalAnswer[]> {
  if (one.given !== undefined) await give(wire, side, one);
  const normalizer = new Normalizer(side, options);
  const normal: NormalAnswer[] = [];
  for (const step of one.requests) {
    const answer = await wire.send(step(side));
    side.answers.push(answer);
    normal.push(normalizer.answer(answer));
  }
  return normal;
}

/** Creates the case's object and, if asked to, waits until no controller has anything left to write about it. */
export async function give(
  wire: Wire,
  side: Side,
  { given = {}, atRest }: Pick<DifferentialCase, 'given' | 'atRest'>,
): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const made = await wire.send({ method: 'POST', path: side.collection, body: side.manifest(given), headers });
  if (made.status !== 201) throw new Error(`${side.side} ${side.name} could not be created: ${made.text}`);
  side.given = JSON.parse(made.text) as Session;
  if (atRest === undefined) return;
  const read = async (query = '') =>
    JSON.parse((await wire.send({ method: 'GET', path: side.item(), query })).text) as Session;
  let previous: string | undefined;
  side.given = await until(`${side.side} ${side.name} to be at rest`, async () => {
    const session = await read();
    const { resourceVersion } = session.metadata;
    const isDone = side.side === 'twin' || session.status?.phase === 'Suspended';
    // What is read from a cache may be older, or not be there yet.
    const isKnown = (await read('resourceVersion=0')).metadata.resourceVersion === resourceVersion;
    if (isDone && isKnown && resourceVersion === previous) return session;
    previous = resourceVersion;
    return undefined;
  });
}

/** Waits until what is read from memory, at resourceVersion 0, is as new as an object that was answered, and all before it. */
export async function untilRemembered(wire: Wire, side: Side, { metadata }: Session): Promise<void> {
  const read = { method: 'GET', path: side.item(metadata.name), query: 'resourceVersion=0' } as const;
  let seen: string | undefined;
  const isRemembered = async () => {
    seen = (await wire.send(read)).text;
    const { resourceVersion = '0' } = (JSON.parse(seen) as Session).metadata;
    // Versions of one resource can be compared.
    return BigInt(resourceVersion) >= BigInt(metadata.resourceVersion ?? '0');
  };
  await until(`${side.side} ${metadata.name} to be remembered`, isRemembered, { seen: () => seen });
}

/** Runs at most so many at once, in the order of their coming. */
function limiter(most: number): <T>(run: () => Promise<T>) => Promise<T> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (run) => {
    if (running >= most) await new Promise<void>((resolve) => waiting.push(resolve));
    running += 1;
    try {
      return await run();
    } finally {
      running -= 1;
      waiting.shift()?.();
    }
  };
}
