import { expect } from 'chai';
import type { Contest, Reading, Side } from '../../../hack/bench/harness/benchmark.ts';
import { runContest } from '../../../hack/bench/harness/comparison.ts';

describe('the rounds of a benchmark', () => {
  const ms = (measure: string, value: number): Reading => ({ measure, unit: 'ms', value });
  const signal = new AbortController().signal;

  /** A side that gives the next of its values in each round and says so in a log. */
  function side(name: string, values: readonly number[], log: string[], extra: readonly Reading[] = []): Side {
    const left = [...values];
    return {
      name,
      round: async () => {
        log.push(name);
        return [ms('time', left.shift() ?? Number.NaN), ...extra];
      },
    };
  }

  function contest(reference: Side, ...subjects: Side[]): Contest {
    return { reference, subjects, close: async () => undefined };
  }

  it('let the sides take turns, and do not count the first one', async () => {
    const log: string[] = [];
    const sides = contest(side('A', [99, 1, 2, 3], log), side('B', [999, 4, 4, 9], log));
    const rows = await runContest(sides, { rounds: 3, signal });
    expect(log.join(' ')).to.equal('A B A B A B A B');
    expect(rows).to.deep.equal([
      {
        ...{ subject: 'B', measure: 'time', unit: 'ms', reference: 2, ours: 4 },
        ratio: { median: 3, lowest: 2, highest: 4 },
      },
    ]);
  });

  it('put every subject beside the same reference', async () => {
    const sides = contest(side('A', [1, 2], []), side('B', [1, 4], []), side('C', [1, 20], []));
    const rows = await runContest(sides, { rounds: 1, signal });
    expect(rows.map(({ subject, ratio }) => [subject, ratio?.median])).to.deep.equal([
      ['B', 2],
      ['C', 10],
    ]);
  });

  it('show what the reference cannot have measured without a ratio', async () => {
    const sides = contest(side('A', [1, 1], []), side('B', [1, 1], [], [{ measure: 'CPU', unit: 'µs', value: 30 }]));
    const rows = await runContest(sides, { rounds: 1, signal });
    expect(rows[1]).to.include({ measure: 'CPU', unit: 'µs', reference: undefined, ours: 30, ratio: undefined });
  });

  it('end with the error of a side, and between two sides when they are told to', async () => {
    const broken: Side = { name: 'B', round: () => Promise.reject(new Error('a wrong answer')) };
    const failure = await runContest(contest(side('A', [1], []), broken), { rounds: 1, signal }).catch(String);
    expect(failure).to.equal('Error: a wrong answer');

    const log: string[] = [];
    const stop = new AbortController();
    const last: Side = {
      name: 'B',
      round: async () => {
        stop.abort(new Error('enough'));
        return [];
      },
    };
    const sides = contest(side('A', [1, 1, 1], log), last);
    expect(await runContest(sides, { rounds: 5, signal: stop.signal }).catch(String)).to.equal('Error: enough');
    expect(log).to.deep.equal(['A']);
  });
});
