import { expect } from 'chai';
import { array, assert, constantFrom, property } from 'fast-check';
import {
  differenceOf,
  encodeFields,
  type FieldSet,
  FieldSetBuilder,
  FieldsReader,
  intersectionOf,
  pathsOf,
  unionOf,
  withoutSubtrees,
} from '../../../../apis/machinery/managed-fields/field-set.ts';
import { keyElement, pathText, valueElement } from '../../../../apis/machinery/managed-fields/path-element.ts';

const elements = constantFrom('f:a', 'f:b', 'f:c', 'k:{"uid":"x"}', 'v:"y"', 'i:1');
const sets = array(array(elements, { minLength: 1, maxLength: 3 }), { maxLength: 8 }).map((paths) => {
  const builder = new FieldSetBuilder();
  for (const path of paths) builder.insert(path);
  return builder.fields;
});
const decodeFields = (value: unknown) => new FieldsReader().read(value);
const texts = (set: FieldSet) => Array.from(pathsOf(set), (path) => path.join('/')).sort();

describe('sets of fields', () => {
  it('are written and read as FieldsV1, members sorted as Go sorts them', () => {
    const text =
      '{"f:metadata":{"f:finalizers":{".":{},"v:\\"a\\"":{},"v:\\"b\\"":{}},"f:labels":{"f:a":{},"f:a.io/b":{}},"f:ownerReferences":{"k:{\\"uid\\":\\"1\\"}":{}}},"f:spec":{".":{},"f:x":{}}}';
    expect(JSON.stringify(encodeFields(decodeFields(JSON.parse(text))))).to.equal(text);
    const shuffled = { 'f:b': {}, 'v:2': {}, 'k:{"b":1,"a":2}': {}, 'f:a': { 'f:z': {}, '.': {} } };
    const sorted = '{"f:a":{".":{},"f:z":{}},"f:b":{},"k:{\\"a\\":2,\\"b\\":1}":{},"v:2":{}}';
    expect(JSON.stringify(encodeFields(decodeFields(shuffled)))).to.equal(sorted);
  });

  it('leave out what is of an unknown kind, and refuse what is none', () => {
    expect(encodeFields(decodeFields({ 'f:a': {}, 'x:later': { 'f:b': {} } }))).to.deep.equal({ 'f:a': {} });
    for (const broken of [1, 'f:a', [], { a: {} }, { 'v:{': {} }, { 'k:1': {} }, { 'i:x': {} }, { 'f:a': 1 }]) {
      expect(() => decodeFields(broken), JSON.stringify(broken)).to.throw(SyntaxError);
    }
    let deep: unknown = {};
    for (let depth = 0; depth < 5000; depth += 1) deep = { 'f:a': deep };
    expect(() => decodeFields(deep)).to.throw(SyntaxError);
    const wide = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`f:${index}`, {}]));
    expect(() => decodeFields(wide)).to.throw(SyntaxError);
  });

  it('are the same after they were written and read', () => {
    assert(
      property(sets, (set) => {
        expect(texts(decodeFields(encodeFields(set)))).to.deep.equal(texts(set));
      }),
    );
  });

  it('have a union, an intersection and a difference, member by member', () => {
    assert(
      property(sets, sets, (a, b) => {
        const [as, bs] = [texts(a), texts(b)];
        expect(texts(unionOf(a, b))).to.deep.equal([...new Set([...as, ...bs])].sort());
        expect(texts(intersectionOf(a, b))).to.deep.equal(as.filter((path) => bs.includes(path)));
        expect(texts(differenceOf(a, b))).to.deep.equal(as.filter((path) => !bs.includes(path)));
        const kept = as.filter((path) => !bs.some((other) => path === other || path.startsWith(`${other}/`)));
        expect(texts(withoutSubtrees(a, b))).to.deep.equal(kept);
      }),
    );
  });

  it('have paths as conflicts show them', () => {
    const path = ['f:metadata', 'f:ownerReferences', keyElement({ uid: 'x"y' })];
    expect(pathText(path)).to.equal('.metadata.ownerReferences[uid="x\\"y"]');
    expect(pathText(['f:a.io/b', valueElement('v'), valueElement(1), 'i:2'])).to.equal('.a.io/b[="v"][=1][2]');
  });
});
