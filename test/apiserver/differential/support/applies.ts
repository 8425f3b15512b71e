import { stringify } from 'yaml';
import type { DifferentialCase, Step } from './compare.ts';
import type { Change, Extra } from './requests.ts';
import { create, patchJson, patchMerge, read, table } from './requests.ts';
import type { Side } from './side.ts';

export type AppliedFormat = 'JSON' | 'YAML';

const type = { 'content-type': 'application/apply-patch+yaml' };
const write = { JSON: JSON.stringify, YAML: (value: unknown) => stringify(value, { version: '1.1' }) };

/** PATCH of a configuration: what is given, and what makes it one of the side's kind and name. */
function applier(format: AppliedFormat) {
  return (change: Change | ((side: Side) => Change), manager = 'one', extra: Extra = {}): Step =>
    (side) => {
      const { metadata, ...rest } = typeof change === 'function' ? change(side) : change;
      const body = {
        apiVersion: side.apiVersion,
        kind: 'Session',
        metadata: { name: side.name, ...metadata },
        ...rest,
      };
      return applyRaw(write[format](body), manager, extra)(side);
    };
}

/** PATCH of a configuration as it is written. */
export function applyRaw(body: string | ((side: Side) => string), manager = 'one', extra: Extra = {}): Step {
  return (side) => ({
    method: 'PATCH',
    path: side.item(),
    headers: { ...type, ...extra.headers },
    query: extra.query ?? { fieldManager: manager },
    body: typeof body === 'function' ? body(side) : body,
  });
}

const spec = { runtimeRef: { kind: 'CodeInterpreter', name: 'none' }, suspended: true };
const force = (manager = 'one') => ({ query: { fieldManager: manager, force: 'true' } });
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

/** Everything about server-side apply, in one of its formats. */
export function applyCases(format: AppliedFormat): DifferentialCase[] {
  const apply = applier(format);
  const rows: Parameters<typeof table>[1] = {
    'of an object that is not there': apply({ spec }),
    'of an object that is not there, forced': apply({ spec }, 'one', force()),
    'of an object that is not there, tried only': [
      apply({ spec }, 'one', { query: { fieldManager: 'one', dryRun: 'All' } }),
      read(),
    ],
    'of an object that is not there, with everything': apply({
      metadata: {
        labels: { a: '1', 'example.com/b': '' },
        annotations: { a: '1' },
        finalizers: ['example.com/x', 'example.com/y'],
      },
      spec: { ...spec, idleTimeout: '5m', maxDuration: '2h', idleAction: 'Suspend' },
    }),
    'of a uid that is not there': apply({ metadata: { uid: '11111111-1111-4111-8111-111111111111' }, spec }),
    'of a version that is not there': apply({ metadata: { resourceVersion: '1' }, spec }),
    'without a spec': apply({}),
    'without a runtime': apply({ spec: { suspended: true } }),
    twice: { given: {}, requests: [apply({ spec }), apply({ spec })] },
    'of less than before': [
      apply({ metadata: { labels: { a: '1', b: '2' } }, spec: { ...spec, idleTimeout: '5m' } }),
      apply({ metadata: { labels: { b: '2' } }, spec }),
    ],
    'of no label any more': [apply({ metadata: { labels: { a: '1' } }, spec }), apply({ spec })],
    'of empty labels': [apply({ metadata: { labels: {} }, spec }), apply({ spec })],
    'of labels that are null': apply({ metadata: { labels: null }, spec }),
    'of a label that is null': apply({ metadata: { labels: { a: null } }, spec }),
    'of a label that is a number': apply({ metadata: { labels: { a: 1 } }, spec }),
    'of labels that are a list': apply({ metadata: { labels: ['a'] }, spec }),
    'of another value of another’s field': {
      given: { spec: { idleTimeout: '5m' } },
      requests: [apply({ spec: { ...spec, idleTimeout: '10m' } }), read()],
    },
    'of other values of two others’ fields': [
      apply({ metadata: { labels: { a: '1' } }, spec }, 'first'),
      apply({ metadata: { labels: { a: '1', b: '1' } }, spec: { ...spec, idleTimeout: '5m' } }, 'second'),
      apply({ metadata: { labels: { a: '2' } }, spec: { ...spec, idleTimeout: '10m' } }, 'third'),
    ],
    'of another value of another’s field, forced': {
      given: { metadata: { labels: { a: '1' } }, spec: { idleTimeout: '5m' } },
      requests: [apply({ metadata: { labels: { a: '2' } }, spec: { ...spec, idleTimeout: '10m' } }, 'one', force())],
    },
    'of the same value as another’s': [
      apply({ metadata: { labels: { a: '1' } }, spec }, 'first'),
      apply({ metadata: { labels: { a: '1' } }, spec }, 'second'),
      apply({ spec }, 'first'),
      apply({ spec }, 'second'),
    ],
    'of an item of finalizers, besides another’s': [
      apply({ metadata: { finalizers: ['example.com/x', 'example.com/y'] }, spec }, 'first'),
      apply({ metadata: { finalizers: ['example.com/z', 'example.com/y'] }, spec }, 'second'),
      apply({ metadata: { finalizers: ['example.com/y'] }, spec }, 'first'),
    ],
    'of an item of finalizers twice': apply({ metadata: { finalizers: ['example.com/x', 'example.com/x'] }, spec }),
    'of owners': {
      given: {},
      requests: [
        apply((side) => ({ metadata: { ownerReferences: [owner(side)] }, spec })),
        apply(
          (side) => ({ metadata: { ownerReferences: [{ ...owner(side), blockOwnerDeletion: false }] }, spec }),
          'two',
        ),
      ],
    },
    'of an owner twice': apply((side) => ({ metadata: { ownerReferences: [owner(side), owner(side)] }, spec })),
    'of an owner without a uid': apply({ metadata: { ownerReferences: [{ name: 'a' }] }, spec }),
    'of an immutable field': {
      given: {},
      requests: [apply({ spec: { ...spec, runtimeRef: { kind: 'CodeInterpreter', name: 'py' } } }, 'one', force())],
    },
    'of an invalid value': {
      given: {},
      requests: [apply({ spec: { ...spec, suspended: true, idleAction: 'Explode' } }, 'one', force())],
    },
    'of an invalid value of an object that is not there': apply({ spec: { ...spec, idleTimeout: '1s' } }),
    'of an unknown field': [
      apply({ spec: { ...spec, color: 'red' } }),
      apply({ spec: { ...spec, color: 'red' } }, 'one', { query: { fieldManager: 'one', fieldValidation: 'Ignore' } }),
    ],
    'of an unknown field at the top': apply({ spec, color: 'red' }),
    'of an unknown field of metadata': apply({ metadata: { color: 'red' }, spec }),
    'of a text where true is meant': apply({ spec: { ...spec, suspended: 'surely' } }),
    'of a number where a text is meant': apply({ spec: { ...spec, idleTimeout: 600 } }),
    'of true where a text is meant': apply({ spec: { ...spec, idleTimeout: true } }),
    'of a text where an object is meant': apply({ spec: { ...spec, runtimeRef: 'none' } }),
    'of an object where a text is meant': apply({ spec: { ...spec, idleTimeout: { a: 'b' } } }),
    'of a text where a list is meant': apply({ metadata: { finalizers: 'a' }, spec }),
    'of a spec that is text': apply({ spec: 'none' as never }),
    'of a field that is null': apply({ spec: { ...spec, idleTimeout: null } }),
    'of a runtime that is null': apply({ spec: { ...spec, runtimeRef: null } }),
    'of a spec that is null': apply({ spec: null as never }),
    'of a runtime whose name is null': apply({
      spec: { ...spec, runtimeRef: { kind: 'CodeInterpreter', name: null } },
    }),
    'of a runtime whose kind is null': apply({ spec: { ...spec, runtimeRef: { kind: null, name: 'none' } } }),
    'of a status': [apply({ spec, status: { phase: 'Ready' } }), apply({ spec }, 'two')],
    'of system fields': apply({
      metadata: { generation: 7, creationTimestamp: '2001-02-03T04:05:06Z', generateName: 'x-', selfLink: '/a' },
      spec,
    }),
    'with managedFields': apply({ metadata: { managedFields: [] }, spec }),
    'of another kind': apply({ kind: 'Pod', spec }),
    'of another version': apply((side) => ({ apiVersion: `${side.group}/v9`, spec })),
    'of another group': apply({ apiVersion: 'example.com/v1', spec }),
    'without a kind': apply({ kind: undefined, spec }),
    'without kind and apiVersion': apply({ kind: undefined, apiVersion: undefined, spec }),
    'of another name': apply({ metadata: { name: 'other' }, spec }),
    'of another name of an object that is there': {
      given: {},
      requests: [apply({ metadata: { name: 'other' }, spec })],
    },
    'without a name': apply({ metadata: { name: undefined }, spec }),
    'without metadata': { given: {}, requests: [apply({ metadata: { name: undefined } })] },
    'of another namespace': apply({ metadata: { namespace: 'elsewhere' }, spec }),
    'of its own namespace': apply((side) => ({ metadata: { namespace: side.namespace }, spec })),
    'of another uid': {
      given: {},
      requests: [apply({ metadata: { uid: '11111111-1111-4111-8111-111111111111' }, spec })],
    },
    'of an old version': { given: {}, requests: [apply({ metadata: { resourceVersion: '1' }, spec })] },
    'without a manager': apply({ spec }, 'one', { query: {} }),
    'with a manager of unprintable characters': apply({ spec }, 'one', { query: { fieldManager: 'a\tb' } }),
    'with too long a manager': apply({ spec }, 'one', { query: { fieldManager: 'x'.repeat(129) } }),
    'with a malformed force': apply({ spec }, 'one', { query: { fieldManager: 'one', force: 'perhaps' } }),
    'with options that are wrong': apply({ spec }, 'one', { query: { dryRun: 'Some', fieldValidation: 'Maybe' } }),
    'after an update of the same name': {
      given: {},
      requests: [
        patchMerge({ metadata: { labels: { a: '1' } } }, { query: { fieldManager: 'one' } }),
        apply({ metadata: { labels: { a: '2' } }, spec }, 'one'),
        apply({ metadata: { labels: { a: '1', b: '1' } }, spec }, 'one'),
      ],
    },
    'after all ownership was given up': [
      create({}, { query: { fieldManager: 'zero' } }),
      patchMerge({ metadata: { managedFields: [{}] } }),
      patchMerge({ metadata: { labels: { a: '1' } } }),
      apply({ metadata: { labels: { b: '1' } }, spec }),
    ],
    'after an update, which takes what it changes': [
      apply({ metadata: { labels: { a: '1', b: '1' } }, spec: { ...spec, idleTimeout: '5m' } }),
      patchMerge({ metadata: { labels: { a: '2' } }, spec: { idleTimeout: null } }, { query: { fieldManager: 'two' } }),
      apply({ metadata: { labels: { a: '1', b: '1' } }, spec: { ...spec, idleTimeout: '5m' } }),
    ],
    'after a patch of its finalizers': [
      apply({ metadata: { finalizers: ['example.com/x'] }, spec }),
      patchJson([{ op: 'add', path: '/metadata/finalizers/0', value: 'example.com/w' }], {
        query: { fieldManager: 'two' },
      }),
      apply({ metadata: { finalizers: ['example.com/x', 'example.com/v'] }, spec }),
      apply({ spec }),
    ],
    'after a client wrote managedFields': [
      apply({ metadata: { labels: { a: '1' } }, spec }),
      patchMerge((side: Side) => ({
        metadata: {
          managedFields: [
            {
              manager: 'made-up',
              operation: 'Apply',
              apiVersion: side.apiVersion,
              time: '2020-01-01T00:00:00Z',
              fieldsType: 'FieldsV1',
              fieldsV1: { 'f:metadata': { 'f:labels': { 'f:a': {} } }, 'x:unknown': {} },
            },
          ],
        },
      })),
      apply({ metadata: { labels: { a: '2' } }, spec }),
    ],
    'after a client wrote broken managedFields': {
      given: { metadata: { labels: { a: '1' } } },
      requests: [
        patchMerge({ metadata: { managedFields: [{ manager: 'x', operation: 'Guess' }] } }),
        patchMerge({
          metadata: { managedFields: [{ manager: 'x', operation: 'Apply', apiVersion: 'v1', fieldsType: 'F' }] },
        }),
        patchMerge({ metadata: { managedFields: [] } }),
        patchMerge({ metadata: { managedFields: null } }),
        apply({ metadata: { labels: { a: '2' } }, spec }, 'two'),
      ],
    },
    'after a client wrote managedFields of another version': [
      apply({ metadata: { labels: { a: '1' } }, spec }),
      patchMerge({
        metadata: {
          labels: { c: '1' },
          managedFields: [
            {
              ...{ manager: 'x', operation: 'Update', apiVersion: 'example.com/v1', fieldsType: 'FieldsV1' },
              fieldsV1: { 'f:spec': {} },
            },
          ],
        },
      }),
      apply({ metadata: { labels: { a: '2' } }, spec }, 'two'),
    ],
    'by kubectl, after its client-side apply': [
      create(
        (side) => ({
          metadata: {
            labels: { a: '1', b: '1' },
            annotations: { [lastApplied]: clientSide(side, { labels: { a: '1', b: '1' } }) },
          },
        }),
        { query: { fieldManager: 'kubectl-client-side-apply' } },
      ),
      patchMerge({ metadata: { labels: { b: '2' } } }, { query: { fieldManager: 'other' } }),
      apply({ metadata: { labels: { a: '3' } }, spec }, 'kubectl'),
      apply({ metadata: { labels: { a: '3', b: '3' } }, spec }, 'kubectl'),
      apply({ metadata: { labels: { a: '4' } }, spec }, 'somebody'),
    ],
    'by eleven updaters': [
      create({}, { query: { fieldManager: 'a' } }),
      ...[...'bcdefghijklm'].map((letter) =>
        patchMerge({ metadata: { labels: { [letter]: '1' } } }, { query: { fieldManager: letter } }),
      ),
    ],
  };
  return table(`an apply (${format})`, rows, { managedFields: 'compare' });
}

/** An owner of a kind that the garbage collector cannot look for: what it cannot find, it would delete the dependents of. */
function owner(side: Side): object {
  return {
    apiVersion: 'example.com/v1',
    kind: 'Owner',
    name: 'owner',
    uid: `${side.name}-owner`,
    controller: false,
  };
}

function clientSide(side: Side, metadata: object): string {
  return JSON.stringify({
    apiVersion: side.apiVersion,
    kind: 'Session',
    metadata: { annotations: {}, ...metadata, name: side.name, namespace: side.namespace },
    spec: { ...spec },
  });
}
