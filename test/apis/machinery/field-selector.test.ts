import { expect } from 'chai';
import {
  exactMatch,
  formatFieldSelector,
  parseFieldSelector,
  requireKnownFields,
} from '../../../apis/machinery/field-selector.ts';

describe('field selectors', () => {
  it('read =, == and !=, joined by commas', () => {
    expect(parseFieldSelector('a.b=1,c!=2,,d==3')).to.deep.equal([
      { field: 'a.b', operator: '=', value: '1' },
      { field: 'c', operator: '!=', value: '2' },
      { field: 'd', operator: '=', value: '3' },
    ]);
    expect(parseFieldSelector('')).to.deep.equal([]);
    expect(parseFieldSelector('a=')).to.deep.equal([{ field: 'a', operator: '=', value: '' }]);
  });

  it('read and write escapes', () => {
    const text = 'a=x\\,y\\=z\\\\';
    const requirements = parseFieldSelector(text);
    expect(requirements).to.deep.equal([{ field: 'a', operator: '=', value: 'x,y=z\\' }]);
    expect(formatFieldSelector(requirements)).to.equal(text);
  });

  it('trim nothing', () => {
    expect(parseFieldSelector(' a= b ')).to.deep.equal([{ field: ' a', operator: '=', value: ' b ' }]);
  });

  it('tell the one value that a field must have', () => {
    const requirements = parseFieldSelector('a!=1,b=2');
    expect(exactMatch(requirements, 'a')).to.equal(undefined);
    expect(exactMatch(requirements, 'b')).to.equal('2');
  });

  const refusals: [string, string][] = [
    ['a', "invalid selector: 'a'; can't understand 'a'"],
    ['a!b', "invalid selector: 'a!b'; can't understand 'a!b'"],
    ['a=b=c', 'invalid field selector: unescaped character in value: 61'],
    ['a===b', 'invalid field selector: unescaped character in value: 61'],
    ['a=\\b', 'invalid field selector: invalid escape sequence: \\b'],
    ['a=b\\', 'invalid field selector: invalid escape sequence: \\'],
  ];
  for (const [text, message] of refusals) {
    it(`refuse ${text} in kube-apiserver's words`, () => {
      expect(() => parseFieldSelector(text))
        .to.throw(message)
        .with.property('code', 400);
    });
  }

  it('refuse fields that cannot be selected by', () => {
    expect(() => requireKnownFields(parseFieldSelector('spec.x=1'), ['metadata.name']))
      .to.throw('field label not supported: spec.x')
      .with.property('code', 400);
  });
});
