import { expect } from 'chai';
import fc from 'fast-check';
import { JsonSyntaxError, parseJson } from '../../../apis/machinery/json.ts';

describe('JSON', () => {
  const broken: [string, string][] = [
    ['', 'unexpected end of JSON input'],
    ['{', 'unexpected end of JSON input'],
    ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
    ['{"a" 1}', "invalid character '1' after object key"],
    ['{"a":1 "b"}', "invalid character '\"' after object key:value pair"],
    ['[1 2]', "invalid character '2' after array element"],
    ['{}x', "invalid character 'x' after top-level value"],
    ["{'a':1}", "invalid character '\\'' looking for beginning of object key string"],
    ['tru ', "invalid character ' ' in literal true (expecting 'e')"],
    ['-x', "invalid character 'x' in numeric literal"],
    ['1.x', "invalid character 'x' after decimal point in numeric literal"],
    ['1ex', "invalid character 'x' in exponent of numeric literal"],
    ['01', "invalid character '1' after top-level value"],
    ['"\u0001"', "invalid character '\\x01' in string literal"],
    ['"\\x"', "invalid character 'x' in string escape code"],
    ['"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"],
    ['['.repeat(100_000), "invalid character '[' exceeded max depth"],
  ];
  for (const [text, problem] of broken) {
    it(`${JSON.stringify(text.slice(0, 30))} is refused in Go’s words`, () => {
      expect(() => parseJson(text)).to.throw(JsonSyntaxError, problem);
    });
  }

  it('tells where members are twice, and takes the last ones', () => {
    const text = '{"a":1,"a":2,"b":[{"c":1},{"c":1,"c":2,"\\u0063":3}],"__proto__":1,"__proto__":{}}';
    const { value, duplicates } = parseJson(text);
    expect(duplicates).to.deep.equal(['a', 'b[1].c', '__proto__']);
    expect(value).to.deep.equal(JSON.parse(text));
  });

  it('is what JSON.parse takes', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(parseJson(text)).to.deep.equal({ value: JSON.parse(text), duplicates: [] });
      }),
    );
    fc.assert(
      fc.property(fc.json(), fc.nat(), fc.string({ maxLength: 2 }), (text, at, noise) => {
        const changed = `${text.slice(0, at % (text.length + 1))}${noise}${text.slice((at % (text.length + 1)) + 1)}`;
        const isJson = accepts(() => JSON.parse(changed));
        expect(accepts(() => parseJson(changed))).to.equal(isJson);
      }),
      { numRuns: 500 },
    );
  });
});

function accepts(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof JsonSyntaxError) return false;
    throw error;
  }
}
