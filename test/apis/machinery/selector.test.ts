import { expect } from 'chai';
import {
  formatLabelSelector,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
} from '../../../apis/machinery/selector.ts';

describe('selectors', () => {
  const cases: [string, Record<string, string>, boolean][] = [
    ['', {}, true],
    ['a=b', { a: 'b' }, true],
    ['a==b', { a: 'c' }, false],
    ['a!=b', {}, true],
    ['a!=b', { a: 'b' }, false],
    ['a in (b,c)', { a: 'c' }, true],
    ['a notin (b, c)', { a: 'c' }, false],
    ['a notin (b)', {}, true],
    ['a', { a: '' }, true],
    ['!a', { a: '' }, false],
    ['a=', { a: '' }, true],
    ['x.io/a=1, b in (2),!c', { 'x.io/a': '1', b: '2' }, true],
    ['a in ()', { a: '' }, true],
    ['toString', {}, false],
  ];
  for (const [text, labels, expected] of cases) {
    it(`${text === '' ? '(empty)' : text} ${expected ? 'selects' : 'does not select'} ${JSON.stringify(labels)}`, () => {
      const requirements = parseLabelSelector(text);
      expect(matchesLabels(requirements, labels)).to.equal(expected);
      expect(parseLabelSelector(formatLabelSelector(requirements))).to.deep.equal(requirements);
    });
  }

  for (const text of ['=', 'a=b,', 'a in', 'a in (b', 'a b', 'a in b', '-a=b', 'a=!', 'a,,b']) {
    it(`refuses ${text} with 400`, () => {
      expect(() => parseLabelSelector(text))
        .to.throw()
        .with.property('code', 400);
    });
  }

  it('reads field selectors with escapes and refuses unknown fields', () => {
    const known = ['metadata.name', 'status.phase'];
    expect(parseFieldSelector('metadata.name=a,status.phase!=Ready', known)).to.deep.equal([
      { field: 'metadata.name', operator: '=', value: 'a' },
      { field: 'status.phase', operator: '!=', value: 'Ready' },
    ]);
    expect(parseFieldSelector('metadata.name=a\\,b\\=c', known)[0]?.value).to.equal('a,b=c');
    expect(() => parseFieldSelector('spec.x=1', known))
      .to.throw(/field label not supported: spec.x/)
      .with.property('code', 400);
  });
});
