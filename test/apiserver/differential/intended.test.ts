import { useCluster } from '../../support/cluster.ts';
import { differences } from './intended/differences.ts';
import { compareCases, type DifferentialCase } from './support/compare.ts';
import type { IntendedDifference } from './support/intended.ts';

describe('what sessions are meant to do otherwise than their twin', () => {
  const env = useCluster();
  const cases: DifferentialCase[] = [];
  for (const [row, difference] of Object.entries(differences)) {
    if ('behaviour' in difference) describe(row, () => difference.behaviour(env));
    else {
      for (const [name, { shown, ...one }] of Object.entries(difference.cases)) {
        cases.push({ ...one, name, differs: { row: row as IntendedDifference, ...shown } });
      }
    }
  }
  compareCases(env, cases);
});
