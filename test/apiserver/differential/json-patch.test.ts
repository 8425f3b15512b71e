import { useCluster } from '../../support/cluster.ts';
import { compareCases } from './support/compare.ts';
import { patchJson, read, table } from './support/requests.ts';

const patched = (...operations: object[]) => ({ given: {}, requests: [patchJson(operations)] });
const labelsPatched = (...operations: object[]) => ({
  given: { metadata: { labels: { a: '1', b: '2' }, finalizers: ['example.com/x', 'example.com/y'] } },
  requests: [patchJson(operations)],
});
const sent = (text: string) => ({ given: {}, requests: [patchJson(text)] });
const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: '11111111-1111-4111-8111-111111111111' };
const uid = '99999999-9999-4999-8999-999999999999';

describe('JSON patches of sessions and of their twin', () => {
  const env = useCluster();
  compareCases(env, [
    ...table('a JSON patch', {
      'without operations': patched(),
      'that is null': sent('null'),
      'that adds labels': patched({ op: 'add', path: '/metadata/labels', value: { a: 'b' } }),
      'that adds a label where there are none': patched({ op: 'add', path: '/metadata/labels/a', value: 'b' }),
      'that adds a label': labelsPatched({ op: 'add', path: '/metadata/labels/c', value: '3' }),
      'that adds a label with a slash': labelsPatched({ op: 'add', path: '/metadata/labels/x.io~1c', value: '3' }),
      'that adds a label with a tilde': labelsPatched({ op: 'add', path: '/metadata/labels/x~0c', value: '3' }),
      'that removes a label': labelsPatched({ op: 'remove', path: '/metadata/labels/a' }),
      'that removes what is not there': labelsPatched({ op: 'remove', path: '/metadata/labels/z' }),
      'that replaces a label': labelsPatched({ op: 'replace', path: '/metadata/labels/a', value: '9' }),
      'that replaces what is not there': labelsPatched({ op: 'replace', path: '/metadata/labels/z', value: '9' }),
      'that replaces below what is not there': patched({ op: 'replace', path: '/metadata/nothing/z', value: '9' }),
      'that tests and changes': labelsPatched(
        { op: 'test', path: '/metadata/labels/a', value: '1' },
        { op: 'replace', path: '/metadata/labels/a', value: '2' },
      ),
      'whose test fails': labelsPatched({ op: 'test', path: '/metadata/labels/a', value: '2' }),
      'whose test of nothing holds': labelsPatched({ op: 'test', path: '/metadata/labels/z', value: null }),
      'that moves a label': labelsPatched({ op: 'move', from: '/metadata/labels/a', path: '/metadata/labels/c' }),
      'that moves what is not there': labelsPatched({
        op: 'move',
        from: '/metadata/labels/z',
        path: '/metadata/labels/c',
      }),
      'that copies a label': labelsPatched({ op: 'copy', from: '/metadata/labels/a', path: '/metadata/labels/c' }),
      'that copies what is not there': labelsPatched({
        op: 'copy',
        from: '/metadata/labels/z',
        path: '/metadata/labels/c',
      }),
      'that appends a finalizer': labelsPatched({ op: 'add', path: '/metadata/finalizers/-', value: 'example.com/z' }),
      'that inserts a finalizer': labelsPatched({ op: 'add', path: '/metadata/finalizers/1', value: 'example.com/z' }),
      'that removes a finalizer by index': labelsPatched({ op: 'remove', path: '/metadata/finalizers/0' }),
      'that removes a finalizer from the end': labelsPatched({ op: 'remove', path: '/metadata/finalizers/-1' }),
      'of an index that is not there': labelsPatched({ op: 'remove', path: '/metadata/finalizers/7' }),
      'of an index that is no number': labelsPatched({ op: 'remove', path: '/metadata/finalizers/x' }),
      'of the spec': patched({ op: 'replace', path: '/spec/idleTimeout', value: '10m' }),
      'of the spec with a wrong type': patched({ op: 'replace', path: '/spec/suspended', value: 'yes' }),
      'of the spec with an unknown field': patched({ op: 'add', path: '/spec/color', value: 'red' }),
      'of the runtime': patched({ op: 'replace', path: '/spec/runtimeRef/name', value: 'py' }),
      'of the name': patched({ op: 'replace', path: '/metadata/name', value: 'other' }),
      'of the namespace': patched({ op: 'replace', path: '/metadata/namespace', value: 'elsewhere' }),
      'of the uid': patched({ op: 'replace', path: '/metadata/uid', value: uid }),
      'of the kind': patched({ op: 'replace', path: '/kind', value: 'Pod' }),
      'of the apiVersion': patched({ op: 'replace', path: '/apiVersion', value: 'example.com/v1' }),
      'that removes the kind': patched({ op: 'remove', path: '/kind' }),
      'that removes the apiVersion': patched({ op: 'remove', path: '/apiVersion' }),
      'that removes the spec': patched({ op: 'remove', path: '/spec' }),
      'that removes metadata': patched({ op: 'remove', path: '/metadata' }),
      'that removes the resourceVersion': patched({ op: 'remove', path: '/metadata/resourceVersion' }),
      'that replaces the resourceVersion': patched({ op: 'replace', path: '/metadata/resourceVersion', value: '1' }),
      'that replaces everything': patched({ op: 'replace', path: '', value: {} }),
      'that replaces everything by text': patched({ op: 'replace', path: '', value: 'x' }),
      'that adds at the root': patched({ op: 'add', path: '', value: {} }),
      'that removes everything': patched({ op: 'remove', path: '' }),
      'of a malformed path': patched({ op: 'add', path: 'metadata', value: {} }),
      'with an unknown operation': patched({ op: 'explode', path: '/spec' }),
      'without an operation': patched({ path: '/spec' }),
      'without a path': patched({ op: 'add', value: 1 }),
      'without a from': patched({ op: 'move', path: '/spec' }),
      'without a value': labelsPatched({ op: 'add', path: '/metadata/labels/c' }),
      'with a path that is a number': patched({ op: 'add', path: 1, value: 1 }),
      'with an unknown member': patched({ op: 'add', path: '/metadata/labels', value: {}, color: 'red' }),
      'with an unknown member, under Strict': {
        given: {},
        requests: [
          patchJson([{ op: 'add', path: '/metadata/labels', value: { a: 'b' }, color: 'red' }], {
            query: { fieldValidation: 'Strict' },
          }),
        ],
      },
      'with a member twice': {
        given: {},
        requests: [patchJson('[{"op":"add","op":"add","path":"/metadata/labels","value":{"a":"b"}}]')],
      },
      'that is an object': { given: {}, requests: [patchJson({ op: 'add' })] },
      'that is an object, under Ignore': {
        given: {},
        requests: [patchJson({ op: 'add' }, { query: { fieldValidation: 'Ignore' } })],
      },
      'that is text': sent('"x"'),
      'of numbers': sent('[1]'),
      'that is no JSON': sent('[{'),
      'that is empty': sent(''),
      'of 10,001 operations': {
        given: {},
        requests: [patchJson(Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/kind', value: 'Session' })))],
      },
      'that copies too much': {
        given: { metadata: { annotations: { big: 'x'.repeat(6_000) } } },
        requests: [
          patchJson(
            Array.from({ length: 700 }, (_, index) => ({
              op: 'copy',
              from: '/metadata/annotations/big',
              path: `/metadata/annotations/c${index}`,
            })),
          ),
        ],
      },
      'with two owners that are one': patched({ op: 'add', path: '/metadata/ownerReferences', value: [owner, owner] }),
      'of the status': {
        given: {},
        requests: [patchJson([{ op: 'add', path: '/status', value: { phase: 'Failed' } }]), read()],
      },
      'tried only': {
        given: {},
        requests: [
          patchJson([{ op: 'replace', path: '/spec/idleTimeout', value: '10m' }], { query: { dryRun: 'All' } }),
          read(),
        ],
      },
      'of what is not there': patchJson([]),
      'of what is not there, malformed': patchJson('{'),
    }),
  ]);
});
