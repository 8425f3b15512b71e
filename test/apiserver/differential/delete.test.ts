import { useCluster } from '../../support/cluster.ts';
import { compareCases, type DifferentialCase, type Step } from './support/compare.ts';
import { json, patchMerge, read, remove, table, yaml } from './support/requests.ts';
import type { Side } from './support/side.ts';

const options = (more: object) => ({ kind: 'DeleteOptions', apiVersion: 'v1', ...more });
const gone = (body?: unknown, extra: Parameters<typeof remove>[1] = {}) => ({
  given: {},
  requests: [remove(body, extra), read()],
});
const asked = (query: Record<string, string | string[]>) => gone(undefined, { query });
const hold = { metadata: { finalizers: ['example.com/hold'] } };
const letGo = patchMerge({ metadata: { finalizers: null } });
const held = (...requests: Step[]): Omit<DifferentialCase, 'name'> => ({
  given: hold,
  requests: [...requests, letGo, read()],
});
const uid = '99999999-9999-4999-8999-999999999999';
const own = (side: Side) => options({ preconditions: { uid: side.given?.metadata.uid } });
const labelled = { given: { metadata: { labels: { batch: 'mine' } } } };
const collection =
  (query: Record<string, string> = {}, body?: unknown, headers: Record<string, string> = json): Step =>
  (side) => ({
    method: 'DELETE',
    path: side.collection,
    // Only the case's own object, whatever else is in the namespace.
    query: { fieldSelector: `metadata.name=${side.name}`, ...query },
    ...(body === undefined ? {} : { headers, body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
const together = (query?: Record<string, string>, body?: unknown, headers?: Record<string, string>) => ({
  ...labelled,
  requests: [collection(query, body, headers), read()],
});

describe('deletions of sessions and of their twin', () => {
  const env = useCluster();
  compareCases(env, [
    ...table('a deletion', {
      'without options': gone(),
      'of what is not there': remove(),
      'of what is not there, with wrong options': remove('{'),
      'with empty options': gone({}),
      'of kind and version': gone(options({})),
      'of kind and the group’s version': gone((side: Side) => ({ kind: 'DeleteOptions', apiVersion: side.apiVersion })),
      'of another kind': gone({ kind: 'Pod', apiVersion: 'v1' }),
      'of another group': gone({ kind: 'DeleteOptions', apiVersion: 'example.com/v1' }),
      'in the background': gone(options({ propagationPolicy: 'Background' })),
      'by an unknown policy': gone(options({ propagationPolicy: 'Sideways' })),
      'by a policy that is a number': gone(options({ propagationPolicy: 1 })),
      'by a policy and orphanDependents': gone(options({ propagationPolicy: 'Background', orphanDependents: false })),
      'with orphanDependents false': gone(options({ orphanDependents: false })),
      'of the uid it has': gone(own),
      'of another uid': gone(options({ preconditions: { uid } })),
      'of the version it has': {
        given: {},
        atRest: true,
        requests: [
          remove((side: Side) => options({ preconditions: { resourceVersion: side.given?.metadata.resourceVersion } })),
          read(),
        ],
      },
      'of another version': { ...gone(options({ preconditions: { resourceVersion: '1' } })), atRest: true },
      'of a malformed version': { ...gone(options({ preconditions: { resourceVersion: 'abc' } })), atRest: true },
      'with preconditions that are text': gone(options({ preconditions: 'x' })),
      'with a grace period': gone(options({ gracePeriodSeconds: 5 })),
      'with a grace period of nothing': gone(options({ gracePeriodSeconds: 0 })),
      'with a negative grace period': gone(options({ gracePeriodSeconds: -5 })),
      'with a grace period that is text': gone(options({ gracePeriodSeconds: 'x' })),
      'with an unknown option': gone(options({ color: 'red' })),
      'tried only': gone(options({ dryRun: ['All'] })),
      'tried by an unknown word': gone(options({ dryRun: ['Some'] })),
      'tried by text': gone(options({ dryRun: 'All' })),
      'with a body that is empty': gone(''),
      'with a body that is null': gone('null'),
      'with a body that is a list': gone('[]'),
      'with a body that ends early': gone('{"kind":'),
      'with a body of YAML': gone('kind: DeleteOptions\napiVersion: v1\npropagationPolicy: Background\n', {
        headers: yaml,
      }),
      'with a body of text': gone('x', { headers: { 'content-type': 'text/plain' } }),
      'with a body above three megabytes': gone(`{"a":"${'x'.repeat(3 * 1024 * 1024)}"}`),
      'with a body and a query': gone(options({}), { query: { propagationPolicy: 'Sideways' } }),
    }),
    ...table('a deletion by query', {
      'in the background': asked({ propagationPolicy: 'Background' }),
      'by an unknown policy': asked({ propagationPolicy: 'Sideways' }),
      'tried only': asked({ dryRun: 'All' }),
      'tried by an unknown word': asked({ dryRun: 'Some' }),
      'with a grace period': asked({ gracePeriodSeconds: '3' }),
      'with a malformed grace period': asked({ gracePeriodSeconds: 'x' }),
      'with orphanDependents': asked({ orphanDependents: 'false' }),
      'with an unknown parameter': asked({ color: 'red' }),
      indented: asked({ pretty: 'true' }),
    }),
    ...table('a deletion that accepts', {
      YAML: gone(undefined, { headers: { accept: 'application/yaml' } }),
      text: gone(undefined, { headers: { accept: 'text/html' } }),
      'only metadata': gone(undefined, {
        headers: { accept: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1' },
      }),
      'a Table': gone(undefined, { headers: { accept: 'application/json;as=Table;g=meta.k8s.io;v=v1' } }),
    }),
    ...table('a deletion of a held one', {
      'without options': held(remove(), read()),
      'a second time': held(remove(), remove(), read()),
      'with orphanDependents false': held(remove(options({ orphanDependents: false }))),
      'tried only': held(remove(options({ dryRun: ['All'] })), read()),
      'with a grace period': held(remove(options({ gracePeriodSeconds: 5 }))),
      'as YAML': held(remove(undefined, { headers: { accept: 'application/yaml' } })),
      'as its metadata': held(
        remove(undefined, { headers: { accept: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1' } }),
      ),
      // Not read afterwards: the garbage collector takes its finalizers away, from one before the other.
      'in the foreground': held(remove(options({ propagationPolicy: 'Foreground' }))),
      'leaving orphans': held(remove(options({ propagationPolicy: 'Orphan' }))),
      'leaving orphans, the old way': held(remove(options({ orphanDependents: true }))),
      'in the foreground, then in the background': held(
        remove(options({ propagationPolicy: 'Foreground' })),
        remove(options({ propagationPolicy: 'Background' })),
        read(),
      ),
    }),
    ...table('a deletion of a collection', {
      'of one': together(),
      'of none': collection({ labelSelector: 'nobody=has' }),
      'of one by its label': together({ labelSelector: 'batch=mine' }),
      'tried only': together({}, options({ dryRun: ['All'] })),
      'tried only, by query': together({ dryRun: 'All' }),
      'in the background': together({}, options({ propagationPolicy: 'Background' })),
      'by an unknown policy': together({}, options({ propagationPolicy: 'Sideways' })),
      'of a malformed label selector': collection({ labelSelector: 'a in' }),
      'of an unknown field': collection({ fieldSelector: 'spec.color=red' }),
      'with a malformed limit': collection({ limit: 'x' }),
      'with a limit': together({ limit: '5' }),
      'with a resourceVersionMatch alone': collection({ resourceVersionMatch: 'Exact' }),
      'of a held one': { given: hold, requests: [collection(), read(), letGo] },
      'with a body that ends early': together({}, '{"kind":'),
      'with a body of text': together({}, 'x', { 'content-type': 'text/plain' }),
      'with a body of YAML': together({}, 'kind: DeleteOptions\napiVersion: v1\n', yaml),
      'with a uid': together({}, options({ preconditions: { uid } })),
      'as YAML': {
        ...labelled,
        requests: [(side: Side) => ({ ...collection()(side), headers: { accept: 'application/yaml' } })],
      },
      'as metadata': {
        ...labelled,
        requests: [
          (side: Side) => ({
            ...collection()(side),
            headers: { accept: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1' },
          }),
        ],
      },
      'as text': {
        ...labelled,
        requests: [(side: Side) => ({ ...collection()(side), headers: { accept: 'text/html' } })],
      },
      'across namespaces': {
        differs: { row: 'pages', session: '404 NotFound', twin: '404 404 page not found' },
        requests: [
          (side: Side) => ({
            method: 'DELETE',
            path: side.everywhere,
            query: { labelSelector: 'nobody=has' },
          }),
        ],
      },
    }),
  ]);
});
