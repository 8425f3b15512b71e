import type { TestCluster } from '../../../support/cluster.ts';
import type { DifferentialCase } from '../support/compare.ts';
import type { Shown } from '../support/shown.ts';

/** A case that shows a difference exactly. */
export type ShownCase = Omit<DifferentialCase, 'name' | 'differs'> & { shown: Shown };

/** How an intended difference is shown: by cases, named by what is requested, or by what the two are seen to do. */
export type Difference =
  | { cases: Readonly<Record<string, ShownCase>> }
  /** Declares tests. Called inside of a `describe` with the twin installed. */
  | { behaviour: (env: TestCluster) => void };
