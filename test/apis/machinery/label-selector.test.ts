import { expect } from 'chai';
import { formatLabelSelector, matchesLabels, parseLabelSelector } from '../../../apis/machinery/label-selector.ts';

describe('label selectors', () => {
  const cases: [string, Record<string, string>, boolean][] = [
    ['', {}, true],
    ['a=b', { a: 'b' }, true],
    ['a==b', { a: 'c' }, false],
    ['a!=b', {}, true],
    ['a!=b', { a: 'b' }, false],
    ['a in (b,c)', { a: 'c' }, true],
    ['a in (b,c)', {}, false],
    ['a in(in)', { a: 'in' }, true],
    ['a notin (b, c)', { a: 'c' }, false],
    ['a notin (b)', {}, true],
    ['notin notin (notin)', { notin: 'x' }, true],
    ['a', { a: '' }, true],
    ['!a', { a: '' }, false],
    ['a=', { a: '' }, true],
    ['x.io/a=1, b in (2),!c', { 'x.io/a': '1', b: '2' }, true],
    ['a in ()', { a: '' }, true],
    ['a in (,)', { a: '' }, true],
    ['a in (x,,y)', { a: '' }, true],
    ['a>5', { a: '6' }, true],
    ['a>5', { a: '5' }, false],
    ['a < 10', { a: '9' }, true],
    ['a>5', { a: 'many' }, false],
    ['a>9223372036854775806', { a: '9223372036854775807' }, true],
    ['toString', {}, false],
    ['a=b\t,\nc', { a: 'b', c: '' }, true],
  ];
  for (const [text, labels, expected] of cases) {
    it(`${text === '' ? '(empty)' : JSON.stringify(text)} ${expected ? 'selects' : 'does not select'} ${JSON.stringify(labels)}`, () => {
      const requirements = parseLabelSelector(text);
      expect(matchesLabels(requirements, labels)).to.equal(expected);
      expect(parseLabelSelector(formatLabelSelector(requirements))).to.deep.equal(requirements);
    });
  }

  it('treat values as sets', () => {
    expect(parseLabelSelector('a in (c,b,c)')).to.deep.equal([{ key: 'a', operator: 'in', values: ['b', 'c'] }]);
  });

  const refusals: [string, RegExp][] = [
    ['=', /^found '=', expected: !, identifier, or 'end of string'$/],
    ['a=b,', /^found '', expected: identifier after ','$/],
    ['a,,b', /^found ',', expected: identifier after ','$/],
    ['a=b=c', /^found '=', expected: ',' or 'end of string'$/],
    ['!a=b', /^found '=', expected: ',' or 'end of string'$/],
    ['a in', /^unable to parse requirement: found '' expected: '\('$/],
    ['a in b', /^unable to parse requirement: found 'b' expected: '\('$/],
    ['a in (b', /^unable to parse requirement: found '', expected: ',' or '\)'$/],
    ['a in (b c)', /^unable to parse requirement: found 'c', expected: ',' or '\)'$/],
    ['a in (=)', /^unable to parse requirement: found '=', expected: ',', '\)' or identifier$/],
    ['a in (,=)', /^unable to parse requirement: found '=', expected: ',', or identifier$/],
    ['a b', /^unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt$/],
    ['a=!', /^unable to parse requirement: found '!', expected: identifier$/],
    ['!!a', /^unable to parse requirement: found '!', expected: identifier$/],
    ['-a=b', /^unable to parse requirement: <nil>: Invalid value: "-a": name part must consist of/],
    ['a=-b', /^unable to parse requirement: values\[0\]\[a\]: Invalid value: "-b": a valid label must be/],
    [
      'a in (-c,-b)',
      /^unable to parse requirement: \[values\[0\]\[a\]: Invalid value: "-b": .*, values\[1\]\[a\]: Invalid value: "-c"/,
    ],
    [
      'a>x',
      /^unable to parse requirement: values\[0\]: Invalid value: "x": for 'Gt', 'Lt' operators, the value must be an integer$/,
    ],
  ];
  for (const [text, message] of refusals) {
    it(`refuse ${text} in kube-apiserver's words`, () => {
      expect(() => parseLabelSelector(text))
        .to.throw(message)
        .with.property('code', 400);
    });
  }
});
