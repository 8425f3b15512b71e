import { useCluster } from '../../support/cluster.ts';
import { compareCases, type DifferentialCase } from './support/compare.ts';
import { type Format, json, patchMerge, read, table, update, updateRaw, yaml } from './support/requests.ts';
import type { Side } from './support/side.ts';

type Members = Record<string, unknown>;
type Mutation = (object: Members, side: Side) => void;

const metadata =
  (change: Members): Mutation =>
  (object) =>
    Object.assign(object.metadata as Members, change);
const spec =
  (change: Members): Mutation =>
  (object) =>
    Object.assign(object.spec as Members, change);
const root =
  (change: Members): Mutation =>
  (object) =>
    Object.assign(object, change);
const nothing: Mutation = () => undefined;
const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: '11111111-1111-4111-8111-111111111111' };

/** What a PUT changes. */
const mutations: Readonly<Record<string, Mutation>> = {
  'of nothing': nothing,
  'of a label': metadata({ labels: { app: 'x' } }),
  'of an annotation': metadata({ annotations: { note: 'hello' } }),
  'of finalizers': metadata({ finalizers: ['example.com/one'] }),
  'of a finalizer without a domain': metadata({ finalizers: ['plain'] }),
  'of owners': metadata({ ownerReferences: [owner] }),
  'of owners, one of them twice': metadata({ ownerReferences: [owner, owner] }),
  'of a malformed label': metadata({ labels: { 'not ok': 'x' } }),
  'of a label that is a number': metadata({ labels: { app: 1 } }),
  'of a time limit': spec({ idleTimeout: '10m' }),
  'of a time limit that is too short': spec({ idleTimeout: '1s' }),
  'of a time limit above the runtime’s': spec({ maxDuration: '9h' }),
  'of an idle limit above the other': spec({ idleTimeout: '3h', maxDuration: '2h' }),
  'of a hold that is text': spec({ suspended: 'no' }),
  'of the idleAction': spec({ idleAction: 'Suspend' }),
  'of an unknown idleAction': spec({ idleAction: 'Explode' }),
  'of the runtime': spec({ runtimeRef: { kind: 'CodeInterpreter', name: 'py' } }),
  'of the runtime’s kind': spec({ runtimeRef: { kind: 'AgentRuntime', name: 'none' } }),
  'that leaves defaults out': (object) => {
    object.spec = { runtimeRef: (object.spec as Members).runtimeRef, suspended: true };
  },
  'that leaves the spec out': root({ spec: undefined }),
  'that leaves the runtime out': spec({ runtimeRef: undefined }),
  'of a status': root({ status: { phase: 'Failed' } }),
  'of an unknown field': spec({ color: 'red' }),
  'of unknown fields in several places': (object) => {
    Object.assign(object, { color: 'red' });
    Object.assign(object.metadata as Members, { color: 'red' });
    Object.assign(object.spec as Members, { color: 'red' });
  },
  'without a resourceVersion': metadata({ resourceVersion: undefined }),
  'with an empty resourceVersion': metadata({ resourceVersion: '' }),
  'with resourceVersion 0': metadata({ resourceVersion: '0' }),
  'with another resourceVersion': metadata({ resourceVersion: '1' }),
  'with a malformed resourceVersion': metadata({ resourceVersion: 'abc' }),
  'with another uid': metadata({ uid: '99999999-9999-4999-8999-999999999999' }),
  'with an empty uid': metadata({ uid: '' }),
  'without a uid': metadata({ uid: undefined }),
  'with another name': metadata({ name: 'other' }),
  'without a name': metadata({ name: undefined }),
  'with another namespace': metadata({ namespace: 'elsewhere' }),
  'without a namespace': metadata({ namespace: undefined }),
  'with another time of creation': metadata({ creationTimestamp: '2001-02-03T04:05:06Z' }),
  'with a malformed time of creation': metadata({ creationTimestamp: 'yesterday' }),
  'without a time of creation': metadata({ creationTimestamp: undefined }),
  'with a time of deletion': metadata({ deletionTimestamp: '2001-02-03T04:05:06Z' }),
  'with a grace period': metadata({ deletionGracePeriodSeconds: 5 }),
  'with another generation': metadata({ generation: 7 }),
  'with generateName': metadata({ generateName: 'x-' }),
  'with a selfLink': metadata({ selfLink: '/x' }),
  'with another apiVersion': root({ apiVersion: 'example.com/v1' }),
  'without an apiVersion': root({ apiVersion: undefined }),
  'with another kind': root({ kind: 'Pod' }),
  'without a kind': root({ kind: undefined }),
};

/** A selfLink was a field once; both ignore the one and keep the other. */
const objects = (format: Format): DifferentialCase[] =>
  Object.entries(mutations).map(([name, mutation]) => ({
    name: `an update (${format}) ${name}`,
    given: {},
    atRest: true,
    requests: [update(mutation, {}, format)],
  }));

const asked = (query: Record<string, string | string[]>) => ({
  given: {},
  atRest: true,
  requests: [update(spec({ color: 'red' }), { query })],
});
const accepted = (accept: string) => ({
  given: {},
  atRest: true,
  requests: [update(nothing, { headers: { accept } })],
});
const held = { given: { metadata: { finalizers: ['example.com/hold'] } }, atRest: true } as const;
const begone = (side: Side) => ({ method: 'DELETE' as const, path: side.item() });
const letGo = patchMerge({ metadata: { finalizers: null } });

describe('updates of sessions and of their twin', () => {
  const env = useCluster();
  compareCases(env, [
    ...objects('JSON'),
    ...objects('YAML'),
    ...table('an update', {
      'of what is not there': updateRaw((side) =>
        JSON.stringify(side.manifest({ metadata: { resourceVersion: '5' } })),
      ),
      'of what is not there, without a version': updateRaw((side) => JSON.stringify(side.manifest())),
      'of what is not there, with a wrong body': updateRaw('{'),
      'of what is not there, with a uid': updateRaw((side) =>
        JSON.stringify(
          side.manifest({ metadata: { uid: '99999999-9999-4999-8999-999999999999', resourceVersion: '5' } }),
        ),
      ),
      'of the collection': (side) => ({ method: 'PUT', path: side.collection, headers: json, body: side.manifest() }),
      'tried only': {
        given: {},
        atRest: true,
        requests: [update(spec({ idleTimeout: '10m' }), { query: { dryRun: 'All' } }), read()],
      },
      'of the spec raises the generation': {
        given: {},
        requests: ['10m', '11m', '11m'].map((idleTimeout) => patchMerge({ spec: { idleTimeout } })),
      },
      'of metadata leaves the generation': {
        given: {},
        atRest: true,
        requests: [update(metadata({ labels: { a: 'b' } })), read()],
      },
      'that takes everything away': {
        atRest: true,
        given: {
          metadata: {
            labels: { a: 'b' },
            annotations: { c: 'd' },
            finalizers: ['example.com/x'],
          },
        },
        requests: [
          update(
            metadata({ labels: undefined, annotations: undefined, finalizers: undefined, ownerReferences: undefined }),
          ),
          read(),
        ],
      },
      'of a terminating one': {
        ...held,
        requests: [begone, read(), update(metadata({ labels: { a: 'b' } })), letGo, read()],
      },
      'of a terminating one’s spec': {
        ...held,
        requests: [begone, read(), update(spec({ idleTimeout: '10m' })), letGo],
      },
      'of a terminating one’s finalizers': {
        ...held,
        requests: [begone, read(), update(metadata({ finalizers: ['example.com/hold', 'example.com/new'] })), letGo],
      },
      'of a terminating one’s last finalizer': {
        ...held,
        requests: [begone, read(), update(metadata({ finalizers: [] })), read()],
      },
      'of a terminating one’s time': {
        ...held,
        requests: [begone, read(), update(metadata({ deletionTimestamp: '2001-02-03T04:05:06Z' })), letGo],
      },
      'that takes the time of deletion away': {
        ...held,
        requests: [
          begone,
          read(),
          update(metadata({ deletionTimestamp: undefined, deletionGracePeriodSeconds: undefined })),
          letGo,
        ],
      },
    }),
    ...table('an update with a body', {
      'that is empty': { given: {}, atRest: true, requests: [updateRaw('')] },
      'that is null': { given: {}, atRest: true, requests: [updateRaw('null')] },
      'that is a list': { given: {}, atRest: true, requests: [updateRaw('[]')] },
      'that is an empty object': { given: {}, atRest: true, requests: [updateRaw('{}')] },
      'that ends early': { given: {}, atRest: true, requests: [updateRaw('{"metadata":')] },
      'with a field twice': {
        given: {},
        atRest: true,
        requests: [
          updateRaw((side) =>
            JSON.stringify(side.object).replace('"spec":{', '"spec":{"idleTimeout":"1m","idleTimeout":"2m",'),
          ),
        ],
      },
      'with a field twice, under Strict': {
        given: {},
        atRest: true,
        requests: [
          updateRaw(
            (side) => JSON.stringify(side.object).replace('"spec":{', '"spec":{"suspended":true,"suspended":true,'),
            {
              headers: json,
              query: { fieldValidation: 'Strict' },
            },
          ),
        ],
      },
      'in YAML that is empty': { given: {}, atRest: true, requests: [updateRaw('', { headers: yaml })] },
      'as text': {
        given: {},
        atRest: true,
        requests: [update(nothing, { headers: { 'content-type': 'text/plain' } })],
      },
      'as a merge patch': {
        given: {},
        atRest: true,
        requests: [update(nothing, { headers: { 'content-type': 'application/merge-patch+json' } })],
      },
    }),
    ...table('an update that accepts', {
      YAML: accepted('application/yaml'),
      text: accepted('text/html'),
      'only its metadata': accepted('application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1'),
      'indented JSON': accepted('application/json;pretty=1'),
    }),
    ...table('an update with the options', {
      'fieldValidation Strict': asked({ fieldValidation: 'Strict' }),
      'fieldValidation Ignore': asked({ fieldValidation: 'Ignore' }),
      'fieldValidation unknown': asked({ fieldValidation: 'Sometimes' }),
      'dryRun unknown': asked({ dryRun: 'Some' }),
      'fieldManager too long': asked({ fieldManager: 'm'.repeat(129) }),
      'all of them wrong': asked({ fieldManager: 'a\tb', dryRun: 'x', fieldValidation: 'y' }),
      force: asked({ force: 'true' }),
    }),
  ]);
});
