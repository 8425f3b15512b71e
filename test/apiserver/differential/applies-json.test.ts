import { useCluster } from '../../support/cluster.ts';
import { applyCases, applyRaw } from './support/applies.ts';
import { compareCases } from './support/compare.ts';
import { table } from './support/requests.ts';
import type { Side } from './support/side.ts';

const twice = (side: Side) =>
  `{"apiVersion":"${side.apiVersion}","kind":"Session","metadata":{"name":"${side.name}"},"spec":{"runtimeRef":{"kind":"CodeInterpreter","name":"none"},"suspended":true,"suspended":true}}`;
const directed = (fieldValidation: string) => ({ query: { fieldManager: 'one', fieldValidation } });

describe('applies of sessions and of their twin, as JSON', () => {
  const env = useCluster();
  compareCases(env, [
    ...applyCases('JSON'),
    ...table('an apply of a body', {
      'that is empty': applyRaw(''),
      'that is null': applyRaw('null'),
      'that is a list': applyRaw('[]'),
      'that is text': applyRaw('"text"'),
      'that is a number': applyRaw('1'),
      'that is an empty object': applyRaw('{}'),
      'with a field twice': applyRaw(twice),
      'with a field twice, strictly': applyRaw(twice, 'one', directed('Strict')),
      'with a field twice, whatever that means': applyRaw(twice, 'one', directed('Ignore')),
      'with a charset in its type': (side) => ({
        ...applyRaw(twice)(side),
        headers: { 'content-type': 'application/apply-patch+yaml;charset=utf-8' },
      }),
      'that is said to be CBOR': (side) => ({
        ...applyRaw(twice)(side),
        headers: { 'content-type': 'application/apply-patch+cbor' },
      }),
    }),
  ]);
});
