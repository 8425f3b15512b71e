import { expect } from 'chai';
import fc from 'fast-check';
import { formatYaml, parseYaml, YamlError } from '../../../apis/machinery/yaml.ts';

describe('YAML', () => {
  const read: [string, unknown][] = [
    ['', null],
    ['a: yes\nb: Off\nc: y', { a: true, b: false, c: true }],
    ['a: 2001-01-01T00:00:00Z\nb: 1:30', { a: '2001-01-01T00:00:00Z', b: '1:30' }],
    ['a: 010\nb: 0x1f\nc: 1_000\nd: .5', { a: 8, b: 31, c: 1000, d: 0.5 }],
    ['1: x\ntrue: z', { 1: 'x', true: 'z' }],
    ['a: &l {b: c}\nd: *l\ne: {<<: *l, f: g}', { a: { b: 'c' }, d: { b: 'c' }, e: { b: 'c', f: 'g' } }],
    ['a: 1\n---\nb: [', { a: 1 }],
    ['{"a": [1, "yes"]}', { a: [1, 'yes'] }],
  ];
  for (const [text, value] of read) {
    it(`${JSON.stringify(text)} is ${JSON.stringify(value)}`, () => {
      expect(parseYaml(text)).to.deep.equal({ value, duplicates: [] });
    });
  }

  it('tells the lines of members that are twice', () => {
    const { value, duplicates } = parseYaml('a: 1\na: 2\nb:\n  c: 1\n  c: 2\n');
    expect(value).to.deep.equal({ a: 2, b: { c: 2 } });
    expect(duplicates).to.deep.equal(['line 2: key "a" already set in map', 'line 5: key "c" already set in map']);
  });

  const refused: Record<string, string> = {
    'of brackets without end': '['.repeat(100_000),
    'of lists in lists': '- '.repeat(100_000),
    'of ever deeper members': Array.from({ length: 1_000 }, (_, depth) => `${' '.repeat(depth)}a:\n`).join(''),
    'that makes much of little': [
      'a: &a [x, x, x, x, x, x, x, x, x]',
      ...Array.from({ length: 8 }, (_, index) => {
        const [own, former] = ['abcdefghi'[index + 1], 'abcdefghi'[index]];
        return `${own}: &${own} [${Array(9).fill(`*${former}`).join(', ')}]`;
      }),
    ].join('\n'),
    'that is large': `a: ${'x'.repeat(70_000)}`,
    'that names no anchor': 'a: *nowhere',
    'of numbers that JSON has not': 'a: .inf',
    'of tabs': 'a:\n\tb: 1',
    'that merges what is no map': 'a: {<<: [1]}',
  };
  for (const [what, text] of Object.entries(refused)) {
    it(`${what} is refused at once`, () => {
      const began = process.cpuUsage();
      expect(() => parseYaml(text)).to.throw(YamlError);
      // Its own time: the machine may be busy with others.
      const { user, system } = process.cpuUsage(began);
      expect((user + system) / 1_000).to.be.lessThan(1_000);
    });
  }

  it('is read as it was written', () => {
    for (const value of [{ '<<': 1 }, { '<<': { a: 1 } }, { a: ['<<'] }]) {
      expect(parseYaml(formatYaml(value)).value).to.deep.equal(value);
    }
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const plain: unknown = JSON.parse(JSON.stringify(value));
        expect(parseYaml(formatYaml(plain)).value).to.deep.equal(plain);
      }),
    );
  });
});
