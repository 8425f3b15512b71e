import { useCluster } from '../../support/cluster.ts';
import { differences } from './intended/differences.ts';
import { compareCases, type DifferentialCase } from './support/compare.ts';
import type { IntendedDifference } from './support/intended.ts';

describe('what sessions are meant to do otherwise than their twin', () => {
  const env = useCluster();
  const cases: DifferentialCase[] = [];
  for (const [differs, shown] of Object.entries(differences)) {
    if ('behaviour' in shown) describe(differs, () => shown.behaviour(env));
    else {
      for (const [name, one] of Object.entries(shown.cases)) {
        cases.push({ ...one, name, differs: differs as IntendedDifference });
      }
    }
  }
  compareCases(env, cases);
});
