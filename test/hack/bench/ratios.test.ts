import { expect } from 'chai';
import { median, percentile, ratioOf } from '../../../hack/bench/harness/statistics.ts';

describe('statistics of benchmarks', () => {
  it('take the middle value, or the mean of the two in the middle, in any order of arrival', () => {
    expect(median([9, 1, 5])).to.equal(5);
    expect(median([8, 1, 9, 2])).to.equal(5);
    expect(median([10, 9])).to.equal(9.5);
    expect(median([])).to.be.NaN;
  });

  it('compare numbers as numbers and leave the given ones as they were', () => {
    const values = [100, 20, 3];
    expect(median(values)).to.equal(20);
    expect(percentile(values, 100)).to.equal(100);
    expect(values).to.deep.equal([100, 20, 3]);
  });

  it('find percentiles by nearest rank', () => {
    const values = Array.from({ length: 200 }, (_, index) => 200 - index);
    expect(percentile(values, 50)).to.equal(100);
    expect(percentile(values, 99)).to.equal(198);
    expect(percentile(values, 100)).to.equal(200);
    expect(percentile([7], 1)).to.equal(7);
    expect(percentile([], 50)).to.be.NaN;
  });

  it('compare each round with itself, so that a slow round of both sides does not count', () => {
    // The machine was ten times slower in two rounds; the ratio of the medians would be 2.5.
    expect(ratioOf([2, 4, 50, 5, 60], [1, 2, 20, 2, 30])).to.deep.equal({ median: 2, lowest: 2, highest: 2.5 });
  });

  it('give no ratio to nothing, to less than nothing or of no rounds', () => {
    expect(ratioOf([1, 1], [1, 0])).to.equal(undefined);
    expect(ratioOf([1, 1], [1, -1])).to.equal(undefined);
    expect(ratioOf([], [])).to.equal(undefined);
    expect(() => ratioOf([1], [1, 2])).to.throw('1 rounds cannot be beside 2');
  });
});
