import {
  type Arbitrary,
  array,
  boolean,
  constant,
  constantFrom,
  dictionary,
  oneof,
  option,
  record,
  subarray,
} from 'fast-check';

/** Members of metadata and spec that a client has something to say about; absent ones are left out. */
export interface Wanted {
  metadata: {
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    finalizers?: string[];
    ownerReferences?: object[];
  };
  spec: Record<string, unknown>;
}

/** One write of a sequence, the same for both resources. */
export type Write = { manager: string } & (
  | { verb: 'create' | 'update'; wanted: Wanted }
  | { verb: 'merge'; patch: object }
  | { verb: 'json'; operations: object[] }
  | { verb: 'apply'; wanted: Wanted; force: boolean }
);

/** ConfigMaps that own objects; their names stand for their uids until these are known. */
export const ownerNames = ['owner-1', 'owner-2', 'owner-3'] as const;

const managers = constantFrom('anna', 'bert', 'kubectl');
const keys = constantFrom('a', 'b', 'example.com/c');
const values = constantFrom('1', '2', '3');
const texts = dictionary(keys, values, { maxKeys: 3 });
const finalizers = subarray(['example.com/x', 'example.com/y', 'example.com/z'], { minLength: 0 }).chain((chosen) =>
  boolean().map((reversed) => (reversed ? [...chosen].reverse() : chosen)),
);
const owners = subarray([...ownerNames]).chain((names) =>
  array(boolean(), { minLength: names.length, maxLength: names.length }).map((blocking) =>
    names.map((name, index) => ({
      ...{ apiVersion: 'v1', kind: 'ConfigMap', name, uid: name },
      ...(blocking[index] === true ? { blockOwnerDeletion: false } : {}),
    })),
  ),
);
const runtimeRef = constant({ kind: 'CodeInterpreter', name: 'none' });
const idleTimeout = constantFrom('5m', '10m', '15m');
const maxDuration = constantFrom('1h', '2h', '8h');
const idleAction = constantFrom('Delete', 'Suspend');

const metadata = record(
  { labels: texts, annotations: texts, finalizers, ownerReferences: owners },
  { requiredKeys: [] },
);
const spec = record(
  { runtimeRef, idleTimeout, maxDuration, idleAction, suspended: constant(true) },
  { requiredKeys: [] },
);
const wholeSpec = record(
  { runtimeRef, idleTimeout, maxDuration, idleAction, suspended: constant(true) },
  { requiredKeys: ['runtimeRef', 'suspended'] },
);
const whole: Arbitrary<Wanted> = record({ metadata, spec: wholeSpec });
/** Mostly complete ones, because one without its runtime is refused where there is none yet. */
const part: Arbitrary<Wanted> = oneof(
  { weight: 3, arbitrary: whole },
  { weight: 1, arbitrary: record({ metadata, spec }) },
);

const nullable = <T>(arbitrary: Arbitrary<T>) => option(arbitrary, { nil: null, freq: 4 });
const mergePatch = record(
  {
    metadata: record(
      {
        labels: nullable(dictionary(keys, nullable(values), { maxKeys: 2 })),
        annotations: nullable(dictionary(keys, nullable(values), { maxKeys: 2 })),
        finalizers: nullable(finalizers),
        ownerReferences: nullable(owners),
      },
      { requiredKeys: [] },
    ),
    spec: record(
      {
        idleTimeout: nullable(idleTimeout),
        maxDuration: nullable(maxDuration),
        idleAction: nullable(idleAction),
        suspended: nullable(constant(true)),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: [] },
);

const operation = oneof(
  record({ op: constantFrom('add', 'replace'), path: constant('/metadata/labels'), value: texts }),
  record({
    op: constantFrom('add', 'replace'),
    path: constantFrom('/metadata/labels/a', '/metadata/annotations/a'),
    value: values,
  }),
  record({
    op: constant('remove'),
    path: constantFrom('/metadata/labels/a', '/metadata/annotations', '/spec/idleTimeout', '/spec/idleAction'),
  }),
  record({ op: constant('replace'), path: constant('/spec/idleTimeout'), value: idleTimeout }),
  record({ op: constant('add'), path: constant('/spec/idleAction'), value: idleAction }),
  record({ op: constant('add'), path: constant('/metadata/finalizers'), value: finalizers }),
  record({
    op: constant('add'),
    path: constantFrom('/metadata/finalizers/-', '/metadata/finalizers/0'),
    value: constant('example.com/x'),
  }),
  record({ op: constant('add'), path: constant('/metadata/ownerReferences'), value: owners }),
  record({ op: constant('remove'), path: constantFrom('/metadata/ownerReferences/0', '/metadata/finalizers/0') }),
  record({ op: constant('test'), path: constant('/spec/suspended'), value: constant(true) }),
);

/** A client that gives up all ownership, or that sends what nobody can read. */
const reset = constantFrom(
  { metadata: { managedFields: [{}] } },
  { metadata: { managedFields: [{ operation: 'Guess' }] } },
);

const write: Arbitrary<Write> = oneof(
  { weight: 1, arbitrary: record({ manager: managers, verb: constant('merge' as const), patch: reset }) },
  {
    weight: 1,
    arbitrary: record({ manager: managers, verb: constantFrom('create' as const, 'update' as const), wanted: whole }),
  },
  { weight: 2, arbitrary: record({ manager: managers, verb: constant('update' as const), wanted: whole }) },
  { weight: 2, arbitrary: record({ manager: managers, verb: constant('merge' as const), patch: mergePatch }) },
  {
    weight: 2,
    arbitrary: record({
      manager: managers,
      verb: constant('json' as const),
      operations: array(operation, { minLength: 1, maxLength: 3 }),
    }),
  },
  {
    weight: 5,
    arbitrary: record({ manager: managers, verb: constant('apply' as const), wanted: part, force: boolean() }),
  },
);

const first: Arbitrary<Write> = oneof(
  record({ manager: managers, verb: constant('create' as const), wanted: whole }),
  record({ manager: managers, verb: constant('apply' as const), wanted: whole, force: boolean() }),
);

/** Up to 8 writes of one object by three managers; it mostly exists after the first one. */
export const writes: Arbitrary<Write[]> = first.chain((one) =>
  array(write, { minLength: 1, maxLength: 7 }).map((others) => [one, ...others]),
);
