import { useCluster } from '../../support/cluster.ts';
import { compareCases, type DifferentialCase, type Step } from './support/compare.ts';
import { deleteOptions, wrongDeleteOptions } from './support/delete-options.ts';
import { type Extra, type Format, formats, json, read, table } from './support/requests.ts';
import type { Side } from './support/side.ts';

/** Which of the namespace's objects are meant: those of one case, which have a label of its name. */
const labelled = (side: Side) => `labelSelector=${encodeURIComponent(`case=${side.name}`)}`;
const given =
  (metadata: object = {}): Step =>
  (side) => ({
    method: 'POST',
    path: side.collection,
    headers: json,
    body: side.manifest({ metadata: { labels: { case: side.name }, ...metadata } }),
  });
const another = given({ name: undefined, generateName: 'other-' });
const held = { finalizers: ['x.io/hold'] };

/** DELETE of those that a query selects, which is the case's label where the query has no selector. */
function removeAll(query: string | ((side: Side) => string) = '', body?: unknown, extra: Extra = {}): Step {
  return (side) => {
    const asked = typeof query === 'function' ? query(side) : query;
    const sent: unknown = typeof body === 'function' ? (body as (side: Side) => unknown)(side) : body;
    return {
      method: 'DELETE',
      path: side.collection,
      query: /Selector=/.test(asked) ? asked : [labelled(side), asked].filter((part) => part !== '').join('&'),
      headers: { ...(sent === undefined ? {} : json), ...extra.headers },
      ...(sent === undefined ? {} : { body: typeof sent === 'string' ? sent : JSON.stringify(sent) }),
    };
  };
}

const bodies = (format: Format): DifferentialCase[] =>
  Object.entries({ ...deleteOptions, ...wrongDeleteOptions }).map(([name, options]) => ({
    name: `a delete of a collection (${format}) ${name}`,
    given: { metadata: held },
    atRest: true,
    requests: [
      removeAll(
        (side) => `fieldSelector=metadata.name%3D${side.name}`,
        (side: Side) => formats[format].write(typeof options === 'function' ? options(side) : options),
        { headers: formats[format].headers },
      ),
    ],
  }));

describe('deletes of collections of sessions and of their twin', () => {
  const env = useCluster();
  compareCases(env, [
    ...bodies('JSON'),
    ...bodies('YAML'),
    ...table(
      'a delete of a collection with the query',
      Object.fromEntries(
        [
          '',
          'limit=0',
          'limit=-1',
          'limit=abc',
          'continue=abc',
          'resourceVersion=abc',
          'resourceVersionMatch=Exact',
          'resourceVersion=0&resourceVersionMatch=Exact',
          'resourceVersion=1&resourceVersionMatch=Nonsense',
          'sendInitialEvents=true',
          'timeoutSeconds=5',
          'timeoutSeconds=abc',
          'allowWatchBookmarks=true',
          'dryRun=All',
          'dryRun=x',
          'propagationPolicy=Background',
          'propagationPolicy=Foreground',
          'propagationPolicy=Orphan',
          'propagationPolicy=Nonsense',
          'orphanDependents=true',
          'orphanDependents=false',
          'orphanDependents=true&propagationPolicy=Orphan',
          'gracePeriodSeconds=0',
          'gracePeriodSeconds=-1',
          'gracePeriodSeconds=abc',
          'uid=another',
          'ignoreStoreReadErrorWithClusterBreakingPotential=true',
          'labelSelector=%3D%3D',
          'labelSelector=case%3Dnobody',
          'labelSelector=case+in+(nobody)',
          'fieldSelector=metadata.name%3Dnobody',
          'fieldSelector=spec.idleAction%3DDelete',
        ].map((query) => [query === '' ? '(none)' : query, [given(), removeAll(query)]]),
      ),
    ),
    ...table('a delete of a collection', {
      'of one by its name': [given(), removeAll((side) => `fieldSelector=metadata.name%3D${side.name}`), read()],
      'of several': [
        given(),
        another,
        removeAll(),
        (side) => ({ method: 'GET', path: side.collection, query: labelled(side) }),
      ],
      'of several, some of them held': [
        given(held),
        another,
        removeAll(),
        (side) => ({ method: 'GET', path: side.collection, query: labelled(side) }),
      ],
      'of none': [removeAll()],
      'twice, of what is held': [given(held), removeAll(), removeAll()],
      'that is only tried leaves them': [given(), removeAll('', { dryRun: ['All'] }), read()],
      'of one by its name, with a limit': [
        given(),
        removeAll((side) => `limit=1&fieldSelector=metadata.name%3D${side.name}`),
        read(),
      ],
      'of one by its name, of a version that nothing had': {
        given: {},
        atRest: true,
        requests: [removeAll((side) => `resourceVersion=0&fieldSelector=metadata.name%3D${side.name}`), read()],
      },
      // As a list with that parameter, it takes what the cache knows.
      'of one by its name, with watch=true': {
        given: {},
        atRest: true,
        requests: [removeAll((side) => `watch=true&fieldSelector=metadata.name%3D${side.name}`), read()],
      },
      'of a uid that one has not': [given(), removeAll('', { preconditions: { uid: 'another' } }), read()],
      'across namespaces': {
        requests: [(side) => ({ method: 'DELETE', path: side.everywhere, query: labelled(side) })],
        differs: { row: 'pages', session: '404 NotFound', twin: '404 404 page not found' },
      },
      'of a body that ends early': [given(), removeAll('', '{')],
      'of a body that is a list': [given(), removeAll('', '[]')],
      'of a body and a query that are both wrong': [given(), removeAll('limit=abc', { propagationPolicy: 'Nonsense' })],
      'of a query that is invalid and a body that is': [
        given(),
        removeAll('resourceVersionMatch=Exact', { propagationPolicy: 'Nonsense' }),
      ],
      'of another media type': [given(), removeAll('', '{}', { headers: { 'content-type': 'text/plain' } })],
      'as a list of metadata': [
        given(),
        removeAll('', undefined, {
          headers: { accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io' },
        }),
      ],
      'as YAML': [given(), removeAll('', undefined, { headers: { accept: 'application/yaml' } })],
      indented: [given(), removeAll('pretty=true')],
    }),
  ]);
});
