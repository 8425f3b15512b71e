import { expect } from 'chai';
import {
  parseResourceVersion,
  readBoolean,
  readInt64,
  readResourceVersion,
} from '../../../apis/machinery/query-values.ts';
import { goQuote } from '../../../apis/machinery/quote.ts';

describe('values of query parameters', () => {
  it('are true but for 0, false and absence', () => {
    const texts = [null, '0', 'false', 'FALSE', '', '1', 'no', 'true'];
    expect(texts.map(readBoolean)).to.deep.equal([false, false, false, false, true, true, true, true]);
  });

  it('are whole numbers of 64 bits', () => {
    expect([null, '0', '-3', '+7', '9223372036854775807'].map(readInt64)).to.deep.equal([
      undefined,
      0n,
      -3n,
      7n,
      2n ** 63n - 1n,
    ]);
    expect(() => readInt64('')).to.throw('strconv.ParseInt: parsing "": invalid syntax');
    expect(() => readInt64('1e3')).to.throw('strconv.ParseInt: parsing "1e3": invalid syntax');
    expect(() => readInt64('9223372036854775808')).to.throw(
      'strconv.ParseInt: parsing "9223372036854775808": value out of range',
    );
  });

  it('are resourceVersions', () => {
    expect([undefined, '', '0', '18446744073709551615'].map(readResourceVersion)).to.deep.equal([
      undefined,
      undefined,
      0n,
      2n ** 64n - 1n,
    ]);
    expect(['-1', ' 1', '0x1', '18446744073709551616', ''].map(parseResourceVersion)).to.deep.equal(
      Array(5).fill(undefined),
    );
    expect(() => readResourceVersion('abc'))
      .to.throw('resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax')
      .with.property('code', 500);
    expect(() => readResourceVersion('18446744073709551616')).to.throw('value out of range');
  });

  it('are quoted as Go quotes them', () => {
    expect(goQuote('a"b\\c\n\t\x00\x7fé€\u200b😀')).to.equal('"a\\"b\\\\c\\n\\t\\x00\\x7fé€\\u200b😀"');
  });
});
