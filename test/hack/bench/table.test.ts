import { expect } from 'chai';
import type { Row } from '../../../hack/bench/harness/comparison.ts';
import { formatValue, tableFoot, tableHead, tableSection } from '../../../hack/bench/harness/table.ts';

describe('the table of benchmarks', () => {
  const row = (changes: Partial<Row>): Row => ({
    ...{ subject: 'ours', measure: 'GET, p50', unit: 'ms', reference: 1, ours: 2 },
    ratio: { median: 2, lowest: 1.5, highest: 12.34 },
    ...changes,
  });
  const section = (rows: Row[], how = 'how it is done') => tableSection({ name: 'reads', how, beside: 'theirs', rows });

  it('says what is measured, beside what, and each subject once above its rows', () => {
    const rows = [row({}), row({ measure: 'LIST, p50' }), row({ subject: 'another' })];
    const lines = section(rows).split('\n');
    expect(lines.slice(0, 3)).to.deep.equal(['READS: how it is done.', 'Reference: theirs.', '  ours']);
    expect(lines[3]).to.match(/^ {4}GET, p50 +1\.00 ms +2\.00 ms +2\.00 +1\.50–12\.3$/);
    expect(lines[4]).to.match(/^ {4}LIST, p50 /);
    expect(lines[5]).to.equal('  another');
    expect(lines).to.have.length(7);
  });

  it('keeps its columns below their names, whatever the numbers', () => {
    const rows = [row({}), row({ reference: 12_345.6, ours: 0.001, ratio: { median: 123, lowest: 0, highest: 999 } })];
    const head = tableHead().split('\n')[0] ?? '';
    for (const line of section(rows).split('\n').slice(3)) {
      expect(line).to.have.length(head.length);
      expect(line[head.indexOf('ours') + 'ours'.length - 1]).to.equal('s');
      expect(line[head.indexOf('ratio') + 'ratio'.length]).to.equal(' ');
    }
  });

  it('marks what is not there', () => {
    const line = section([row({ reference: undefined, ratio: undefined })])
      .split('\n')
      .at(-1);
    expect(line).to.match(/^ {4}GET, p50 +– +2\.00 ms +– +–$/);
  });

  it('gives three digits, and all of a large number', () => {
    expect(
      ['0', '0.0567', '1.234', '12.34', '123.4', '12345.6', '-0.5'].map((text) => formatValue(Number(text), 'ms')),
    ).to.deep.equal(['0.00 ms', '0.06 ms', '1.23 ms', '12.3 ms', '123 ms', '12346 ms', '-0.50 ms']);
    expect(formatValue(Number.NaN, 'ms')).to.equal('–');
  });

  it('breaks long texts within its width', () => {
    const width = tableHead().split('\n')[0]?.length ?? 0;
    const words = Array.from({ length: 60 }, (_, index) => `word${index}`).join(' ');
    const lines = [...section([], words).split('\n'), ...tableFoot(5).split('\n')];
    expect(Math.max(...lines.map((line) => line.length))).to.be.at.most(width);
    expect(lines.join(' ')).to.contain(words);
    expect(lines.join(' ')).to.contain('Medians of 5 rounds');
  });
});
