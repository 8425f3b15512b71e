import { useCluster } from '../../support/cluster.ts';
import { compareCases, type DifferentialCase } from './support/compare.ts';
import { jsonPatch, mergePatch, patchMerge, read, table } from './support/requests.ts';
import type { Side } from './support/side.ts';

const merged = (document: unknown, more: Partial<DifferentialCase> = {}) => ({
  given: {},
  requests: [patchMerge(document)],
  ...more,
});
const labelled = {
  given: { metadata: { labels: { a: '1', b: '2' }, finalizers: ['example.com/x', 'example.com/y'] } },
};
const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: '11111111-1111-4111-8111-111111111111' };
const held = { given: { metadata: { finalizers: ['example.com/hold'] } } };
const begone = (side: Side) => ({ method: 'DELETE' as const, path: side.item() });
const letGo = patchMerge({ metadata: { finalizers: null } });
const withQuery = (query: Record<string, string | string[]>) => ({
  given: {},
  requests: [patchMerge({ spec: { color: 'red' }, metadata: { color: 'red' } }, { query })],
});
const sent = (type: string) => ({ given: {}, requests: [patchMerge({}, { headers: { 'content-type': type } })] });
const uid = '99999999-9999-4999-8999-999999999999';

describe('merge patches of sessions and of their twin, and what a patch is sent as', () => {
  const env = useCluster();
  compareCases(env, [
    ...table('a merge patch', {
      'of nothing': merged({}),
      'of labels': merged({ metadata: { labels: { a: 'b' } } }),
      'that takes a label away': { ...labelled, requests: [patchMerge({ metadata: { labels: { a: null } } })] },
      'that takes away what is not there': merged({ metadata: { labels: { a: null } } }),
      'that takes all labels away': { ...labelled, requests: [patchMerge({ metadata: { labels: null } }), read()] },
      'of annotations': merged({ metadata: { annotations: { 'x.io/a': 'b' } } }),
      'of finalizers': merged({ metadata: { finalizers: ['example.com/one', 'plain'] } }),
      'of finalizers that is text': merged({ metadata: { finalizers: 'example.com/one' } }),
      'of a malformed finalizer': merged({ metadata: { finalizers: ['not ok'] } }),
      'of owners that are one': merged({ metadata: { ownerReferences: [owner, owner] } }),
      'of the spec': {
        given: {},
        requests: [patchMerge({ spec: { idleTimeout: '10m' } }), patchMerge({ spec: { idleTimeout: '10m' } })],
      },
      'that brings a default back': {
        given: { spec: { idleTimeout: '10m' } },
        requests: [patchMerge({ spec: { idleTimeout: null } })],
      },
      'of the spec with wrong types': merged({ spec: { idleTimeout: 1, suspended: 'x' } }),
      'of too short a limit': merged({ spec: { idleTimeout: '1s' } }),
      'of an idle limit above the other': merged({ spec: { maxDuration: '1m' } }),
      'of an unknown field': merged({ spec: { color: 'red' } }),
      'of unknown fields in several places': merged({
        color: 1,
        metadata: { color: 1 },
        spec: { color: 1, runtimeRef: { color: 1 } },
      }),
      'of the runtime': merged({ spec: { runtimeRef: { name: 'py' } } }),
      'that takes the runtime away': merged({ spec: { runtimeRef: null } }),
      'that takes the spec away': merged({ spec: null }),
      'that takes metadata away': merged({ metadata: null }),
      'of the name': merged({ metadata: { name: 'other' } }),
      'of the namespace': merged({ metadata: { namespace: 'elsewhere' } }),
      'of the uid': merged({ metadata: { uid } }),
      'that takes the uid away': merged({ metadata: { uid: null } }),
      'of the resourceVersion it has': {
        given: {},
        atRest: true,
        requests: [
          patchMerge((side: Side) => ({
            metadata: { resourceVersion: side.object.metadata.resourceVersion, labels: { a: 'b' } },
          })),
        ],
      },
      'of another resourceVersion': merged({ metadata: { resourceVersion: '1' } }),
      'that takes the resourceVersion away': merged({ metadata: { resourceVersion: null } }),
      'of a malformed resourceVersion': merged({ metadata: { resourceVersion: 'abc' } }),
      'of the generation': merged({ metadata: { generation: 9 } }),
      'of the time of creation': merged({ metadata: { creationTimestamp: '2001-02-03T04:05:06Z' } }),
      'of the time of deletion': merged({ metadata: { deletionTimestamp: '2001-02-03T04:05:06Z' } }),
      'of the kind': merged({ kind: 'Pod' }),
      'of the apiVersion': merged({ apiVersion: 'example.com/v1' }),
      'of a kind that is a number': merged({ kind: 1 }),
      'of the status': { given: {}, requests: [patchMerge({ status: { phase: 'Failed' } }), read()] },
      'of a malformed status': merged({ status: 'x' }),
      'that is null': merged('null'),
      'that is a list': merged('[]'),
      'that is a list, under Ignore': {
        given: {},
        requests: [patchMerge('[]', { query: { fieldValidation: 'Ignore' } })],
      },
      'that is text': merged('"x"'),
      'that is text, under Ignore': {
        given: {},
        requests: [patchMerge('"x"', { query: { fieldValidation: 'Ignore' } })],
      },
      'that is null, under Ignore': {
        given: {},
        requests: [patchMerge('null', { query: { fieldValidation: 'Ignore' } })],
      },
      'that is no JSON': merged('{'),
      'that is empty': merged(''),
      'with a field twice': merged('{"spec":{"idleTimeout":"9m","idleTimeout":"8m"}}'),
      'with a field twice, under Strict': {
        given: {},
        requests: [
          patchMerge('{"spec":{"idleTimeout":"9m","idleTimeout":"8m"}}', { query: { fieldValidation: 'Strict' } }),
        ],
      },
      'with a member named __proto__': merged('{"__proto__":{"a":1},"metadata":{"labels":{"__proto__":"x"}}}'),
      'above three megabytes': merged(`{"a":"${'x'.repeat(3 * 1024 * 1024)}"}`),
      'of what is not there': patchMerge({}),
      'of what is not there, malformed': patchMerge('['),
      'of a terminating one': {
        ...held,
        requests: [begone, patchMerge({ metadata: { labels: { a: 'b' } } }), letGo, read()],
      },
      'of a terminating one’s finalizers': {
        ...held,
        requests: [begone, patchMerge({ metadata: { finalizers: ['example.com/new'] } }), letGo],
      },
      'tried only': {
        given: {},
        requests: [patchMerge({ spec: { idleTimeout: '10m' } }, { query: { dryRun: 'All' } }), read()],
      },
    }),
    ...table('a patch sent as', {
      'a strategic merge': sent('application/strategic-merge-patch+json'),
      JSON: sent('application/json'),
      YAML: sent('application/yaml'),
      nothing: { given: {}, requests: [(side: Side) => ({ method: 'PATCH', path: side.item(), body: '{}' })] },
      'a merge patch with a charset': sent('application/merge-patch+json; charset=utf-8'),
      'a merge patch in capitals': sent('Application/Merge-Patch+JSON'),
      'a merge patch, accepted as text': {
        given: {},
        requests: [patchMerge({}, { headers: { accept: 'text/html' } })],
      },
      'a strategic merge, accepted as text': {
        given: {},
        requests: [
          patchMerge(
            {},
            { headers: { accept: 'text/html', 'content-type': 'application/strategic-merge-patch+json' } },
          ),
        ],
      },
      'a merge patch, accepted as YAML': {
        given: {},
        requests: [patchMerge({}, { headers: { accept: 'application/yaml' } })],
      },
      'a merge patch of the collection': (side: Side) => ({
        method: 'PATCH',
        path: side.collection,
        headers: mergePatch,
        body: '{}',
      }),
      'a JSON patch of the collection': (side: Side) => ({
        method: 'PATCH',
        path: side.collection,
        headers: jsonPatch,
        body: '[]',
      }),
    }),
    ...table('a patch with the options', {
      'fieldValidation Strict': withQuery({ fieldValidation: 'Strict' }),
      'fieldValidation Ignore': withQuery({ fieldValidation: 'Ignore' }),
      'fieldValidation unknown': withQuery({ fieldValidation: 'Sometimes' }),
      'dryRun unknown': withQuery({ dryRun: 'Some' }),
      'fieldManager too long': withQuery({ fieldManager: 'm'.repeat(129) }),
      'force true': withQuery({ force: 'true' }),
      'force false': withQuery({ force: 'false' }),
      'force malformed': withQuery({ force: 'perhaps' }),
      'all of them wrong': withQuery({ fieldManager: 'a\tb', dryRun: 'x', fieldValidation: 'y', force: '1' }),
      'wrong, and a body that is wrong too': { given: {}, requests: [patchMerge('{', { query: { dryRun: 'x' } })] },
    }),
  ]);
});
