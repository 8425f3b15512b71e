import { useCluster } from '../../support/cluster.ts';
import { applyCases, applyRaw } from './support/applies.ts';
import { compareCases } from './support/compare.ts';
import { table } from './support/requests.ts';
import type { Side } from './support/side.ts';

const document = (rest: string) => (side: Side) =>
  `# a comment
apiVersion: ${side.apiVersion}
kind: Session
metadata:
  name: ${side.name}
spec:
  runtimeRef: {kind: CodeInterpreter, name: none}
${rest}`;
const directed = (fieldValidation: string) => ({ query: { fieldManager: 'one', fieldValidation } });
const twice = document('  suspended: true\n  suspended: true\n');

describe('applies of sessions and of their twin, as YAML', () => {
  const env = useCluster();
  compareCases(env, [
    ...applyCases('YAML'),
    ...table('an apply of a document', {
      'in blocks': applyRaw(document('  suspended: true\n')),
      'that says yes': applyRaw(document('  suspended: yes\n')),
      'that says on in quotes': applyRaw(document('  suspended: "on"\n')),
      'of folded text': applyRaw(document('  suspended: true\n  idleTimeout: >-\n    10m\n')),
      'with an anchor': applyRaw(document('  suspended: &held true\n  idleTimeout: &time 10m\n  maxDuration: *time\n')),
      'of several': applyRaw(document('  suspended: true\n---\napiVersion: v1\n')),
      'that is a list': applyRaw('- a\n- b\n'),
      'that is text': applyRaw('text'),
      'of a comment alone': applyRaw('# nothing\n'),
      'with a field twice': applyRaw(twice),
      'with a field twice, strictly': applyRaw(twice, 'one', directed('Strict')),
      'with a field twice, whatever that means': applyRaw(twice, 'one', directed('Ignore')),
    }),
  ]);
});
