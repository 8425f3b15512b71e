import type { Contest, Reading, Side, Unit } from './benchmark.ts';
import { median, type Ratio, ratioOf } from './statistics.ts';

/** One measure of one subject beside the reference's. */
export interface Row {
  subject: string;
  measure: string;
  unit: Unit;
  /** Median over the rounds; undefined where the reference has no such measure. */
  reference: number | undefined;
  ours: number;
  ratio: Ratio | undefined;
}

/** All values of one measure of one side, one a round. */
interface Series {
  unit: Unit;
  values: number[];
}

/**
 * Lets all sides run in turn, round after round, so that they share whatever else happens on the machine. One round
 * more comes first and does not count: connections are made in it, and programs compile what they run often.
 * @throws what a side rejects with, and the signal's reason between two of them.
 */
export async function runContest(contest: Contest, options: { rounds: number; signal: AbortSignal }): Promise<Row[]> {
  const sides = [contest.reference, ...contest.subjects];
  const records = new Map<Side, Map<string, Series>>(sides.map((side) => [side, new Map()]));
  for (let round = 0; round <= options.rounds; round += 1) {
    for (const [side, record] of records) {
      options.signal.throwIfAborted();
      const readings = await side.round();
      if (round > 0) for (const reading of readings) add(record, reading);
    }
  }
  const reference = records.get(contest.reference) ?? new Map<string, Series>();
  return contest.subjects.flatMap((subject) =>
    [...(records.get(subject) ?? [])].map(([measure, series]) =>
      compare({ subject: subject.name, measure }, series, reference.get(measure)),
    ),
  );
}

function add(record: Map<string, Series>, { measure, unit, value }: Reading): void {
  const series = record.get(measure) ?? { unit, values: [] };
  series.values.push(value);
  record.set(measure, series);
}

function compare(of: Pick<Row, 'subject' | 'measure'>, ours: Series, reference: Series | undefined): Row {
  return {
    ...of,
    unit: ours.unit,
    reference: reference === undefined ? undefined : median(reference.values),
    ours: median(ours.values),
    ratio: reference === undefined ? undefined : ratioOf(ours.values, reference.values),
  };
}
