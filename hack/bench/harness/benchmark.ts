import type { Cluster } from '../../cluster/cluster.ts';

/** Units of what is measured, as they are printed. */
export type Unit = 'ms' | 'µs' | 'MB/s' | 'MB' | 'kB' | 'writes';

/** One number that one round of one side gave. */
export interface Reading {
  /** What was measured; the same of every side that can be compared. */
  measure: string;
  unit: Unit;
  value: number;
}

/** One way to do what is measured. */
export interface Side {
  name: string;
  /**
   * Does it a fixed number of times and says how long it took: the same measures in each round, in the same order.
   * Rejects when an answer is wrong or missing.
   */
  round(): Promise<Reading[]>;
}

/** Sides that do the same, ready to begin. */
export interface Contest {
  /** What everything else stands beside. */
  reference: Side;
  subjects: readonly Side[];
  close(): Promise<void>;
}

/** Full for numbers that mean something; tiny to see that the benchmark works. */
export type Size = 'full' | 'tiny';

/** Something worth measuring, beside something that shows what the number means. */
export interface Benchmark {
  /** What `npm run bench -- PATTERN` finds it by. */
  name: string;
  /** What is measured and how, for whoever reads the numbers. */
  how: string;
  /** Prepares both sides on a running cluster. */
  open(cluster: Cluster, size: Size): Promise<Contest>;
}
