import { expect } from 'chai';
import { runContest } from '../../../hack/bench/harness/comparison.ts';
import { bench, benchmarks } from '../../../hack/bench/run.ts';
import { useCluster } from '../../support/cluster.ts';

describe('benchmarks', function () {
  // Each waits for several things, for 90 s at most.
  this.timeout(300_000);
  const env = useCluster();
  const { signal } = new AbortController();

  for (const benchmark of benchmarks) {
    it(`${benchmark.name} gets right answers from both sides and measures the same of both`, async () => {
      const contest = await benchmark.open(env.cluster, 'tiny');
      try {
        const rows = await runContest(contest, { rounds: 1, signal });
        expect(rows).not.to.have.length(0);
        for (const row of rows) {
          expect(row.ours, row.measure).to.be.finite;
          if (row.unit === 'ms') expect(row.reference, row.measure).to.be.finite;
        }
      } finally {
        await contest.close();
      }
    });
  }

  it('that nobody knows are said to be unknown, and nothing is started', async () => {
    const said: string[] = [];
    const print = (text: string) => said.push(`printed ${text}`);
    const code = await bench({ patterns: ['nosuch'], report: (line) => said.push(line), print, signal });
    expect(code).to.equal(2);
    expect(said).to.have.length(1);
    for (const { name } of benchmarks) expect(said[0]).to.contain(name);
  });
});
