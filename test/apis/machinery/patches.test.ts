import { expect } from 'chai';
import fc from 'fast-check';
import { ApiError } from '../../../apis/machinery/errors.ts';
import { applyJsonPatch } from '../../../apis/machinery/json-patch.ts';
import { applyMergePatch } from '../../../apis/machinery/merge-patch.ts';

/** Each doubles the list. */
const copies = (count: number) => Array.from({ length: count }, () => ({ op: 'copy', from: '/list', path: '/list/-' }));
const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) });

const reasonOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    if (error instanceof ApiError) return error.reason;
    throw error;
  }
  return 'none';
};

describe('a merge patch', () => {
  // RFC 7396, appendix A.
  const cases: [unknown, unknown, unknown][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [target, patch, result] of cases) {
    it(`${JSON.stringify(patch)} makes ${JSON.stringify(target)} ${JSON.stringify(result)}`, () => {
      const before = JSON.stringify(target);
      expect(applyMergePatch(target, patch)).to.deep.equal(result);
      expect(JSON.stringify(target)).to.equal(before);
    });
  }

  for (const patch of [null, 'bar', 1]) {
    it(`${JSON.stringify(patch)} is none: what it would leave is no object`, () => {
      expect(reasonOf(() => applyMergePatch({ a: 'foo' }, patch))).to.equal('BadRequest');
    });
  }

  it('takes prototypes for members, and no endless nesting', () => {
    const patched = applyMergePatch({}, JSON.parse('{"__proto__":{"polluted":true}}')) as object;
    expect(Object.hasOwn(patched, '__proto__')).to.equal(true);
    expect(({} as { polluted?: boolean }).polluted).to.equal(undefined);
    expect(reasonOf(() => applyMergePatch({}, JSON.parse(`${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`)))).to.equal(
      'BadRequest',
    );
  });
});

describe('a JSON patch', () => {
  // RFC 6902, appendix A.
  const cases: [unknown, object[], unknown][] = [
    [{ foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux' }], { foo: 'bar', baz: 'qux' }],
    [{ foo: ['a', 'b'] }, [{ op: 'add', path: '/foo/1', value: 'x' }], { foo: ['a', 'x', 'b'] }],
    [{ baz: 'q', foo: 'b' }, [{ op: 'remove', path: '/baz' }], { foo: 'b' }],
    [{ foo: ['a', 'q', 'b'] }, [{ op: 'remove', path: '/foo/1' }], { foo: ['a', 'b'] }],
    [{ baz: 'q', foo: 'b' }, [{ op: 'replace', path: '/baz', value: 'boo' }], { baz: 'boo', foo: 'b' }],
    [
      { foo: { bar: 'b', waldo: 'f' }, qux: {} },
      [{ op: 'move', from: '/foo/waldo', path: '/qux/thud' }],
      { foo: { bar: 'b' }, qux: { thud: 'f' } },
    ],
    [{ foo: [1, 2, 3, 4] }, [{ op: 'move', from: '/foo/1', path: '/foo/3' }], { foo: [1, 3, 4, 2] }],
    [{ foo: 'bar' }, [{ op: 'add', path: '/child', value: { grand: {} } }], { foo: 'bar', child: { grand: {} } }],
    [{ '/': 9, '~1': 10 }, [{ op: 'test', path: '/~01', value: 10 }], { '/': 9, '~1': 10 }],
    [{ foo: ['bar'] }, [{ op: 'add', path: '/foo/-', value: ['x'] }], { foo: ['bar', ['x']] }],
    [
      { a: { b: [1] } },
      [
        { op: 'copy', from: '/a/b', path: '/c' },
        { op: 'add', path: '/c/0', value: 0 },
      ],
      { a: { b: [1] }, c: [0, 1] },
    ],
    [{ a: 1 }, [{ op: 'replace', path: '', value: { b: 2 } }], { b: 2 }],
    // What gopkg.in/evanphx/json-patch.v4 does beyond the RFC.
    [{ a: 1 }, [{ op: 'replace', path: '/b', value: 2 }], { a: 1, b: 2 }],
    [{ a: [1, 2] }, [{ op: 'remove', path: '/a/-1' }], { a: [1] }],
    [{}, [{ op: 'add', path: '/a' }], { a: null }],
    [{}, [{ op: 'copy', from: '/__proto__', path: '/x' }], { x: null }],
    [{ a: { x: 1, y: 2 } }, [{ op: 'test', path: '/a', value: { y: 2, x: 1 } }], { a: { x: 1, y: 2 } }],
  ];
  for (const [target, patch, result] of cases) {
    it(`${JSON.stringify(patch)} makes ${JSON.stringify(target)} ${JSON.stringify(result)}`, () => {
      const before = JSON.stringify(target);
      expect(applyJsonPatch(target, patch)).to.deep.equal(result);
      expect(JSON.stringify(target)).to.equal(before);
    });
  }

  const refused: [string, unknown, string][] = [
    ['that is no list', { op: 'add' }, 'BadRequest'],
    ['with an operation of no name', [{ op: 'spam', path: '/a' }], 'Invalid'],
    ['without a path', [{ op: 'remove' }], 'Invalid'],
    ['that tests something else', [{ op: 'test', path: '/a', value: 2 }], 'Invalid'],
    ['that removes nothing', [{ op: 'remove', path: '/nothing' }], 'Invalid'],
    ['that replaces below nothing', [{ op: 'replace', path: '/nothing/x', value: 1 }], 'Invalid'],
    ['that adds below nothing', [{ op: 'add', path: '/nothing/x', value: 1 }], 'Invalid'],
    ['that adds beyond the end', [{ op: 'add', path: '/list/9', value: 1 }], 'Invalid'],
    ['that adds at a name in a list', [{ op: 'add', path: '/list/x', value: 1 }], 'Invalid'],
    ['that moves a value into itself', [{ op: 'move', from: '/list', path: '/list/0' }], 'Invalid'],
    ['that reads below a prototype', [{ op: 'copy', from: '/__proto__/toString', path: '/x' }], 'Invalid'],
    ['that doubles and doubles', copies(60), 'Invalid'],
    ['that nests too deep', [{ op: 'add', path: '/x', value: nested(100) }], 'BadRequest'],
    [
      'with too many operations',
      Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/a', value: 1 })),
      'RequestEntityTooLarge',
    ],
  ];
  for (const [what, patch, reason] of refused) {
    it(`${what} is refused`, () => {
      expect(reasonOf(() => applyJsonPatch({ a: 1, list: [1] }, patch))).to.equal(reason);
    });
  }

  it('never does anything but apply or refuse', () => {
    const paths = fc.constantFrom(
      '',
      '/',
      '/a',
      '/a/b',
      '/list/-',
      '/list/0',
      '/__proto__',
      '/constructor/prototype',
      '~',
    );
    const operation = fc.record(
      {
        op: fc.constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test'),
        path: paths,
        from: paths,
        value: fc.jsonValue(),
      },
      { requiredKeys: ['op'] },
    );
    fc.assert(
      fc.property(fc.jsonValue(), fc.array(operation), (target, patch) => {
        reasonOf(() => applyJsonPatch(target, patch));
        expect(Object.keys(Object.prototype)).to.deep.equal([]);
      }),
    );
  });
});
