/** The middle of some values; the mean of the two in the middle when their number is even. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** The smallest value that at least `percent` of all do not exceed (nearest rank). NaN of none. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(1, Math.ceil((percent / 100) * sorted.length)) - 1] ?? Number.NaN;
}

/** A ratio of two sides over all rounds. */
export interface Ratio {
  /** The middle one of the rounds' ratios. */
  median: number;
  lowest: number;
  highest: number;
}

/**
 * How many times the reference a subject is. Each round is compared with itself, because whatever else the machine does
 * changes slowly and so falls out; undefined when a round has nothing to divide by.
 * @param reference one value a round, in the order of the rounds, as is `ours`.
 */
export function ratioOf(ours: readonly number[], reference: readonly number[]): Ratio | undefined {
  if (ours.length !== reference.length) throw new Error(`${ours.length} rounds cannot be beside ${reference.length}`);
  const ratios = ours.map((value, round) => value / (reference[round] ?? 0));
  if (ratios.length === 0 || !ratios.every((ratio) => Number.isFinite(ratio) && ratio >= 0)) return undefined;
  return { median: median(ratios), lowest: Math.min(...ratios), highest: Math.max(...ratios) };
}
