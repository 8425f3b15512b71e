import { useCluster } from '../../support/cluster.ts';
import { compareCases, type DifferentialCase, type Step } from './support/compare.ts';
import { deleteOptions, wrongDeleteOptions } from './support/delete-options.ts';
import { type Format, formats, json, patchMerge, read, remove, table, yaml } from './support/requests.ts';
import { words } from './support/shown.ts';
import type { Side } from './support/side.ts';

const held = { metadata: { finalizers: ['x.io/hold'] } };
const accepting = (accept: string): Step => remove(undefined, { headers: { accept } });
const shapes = {
  table: 'application/json;as=Table;v=v1;g=meta.k8s.io',
  partial: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
  yaml: 'application/yaml',
};

/** A DELETE of options, in a body. */
function removing(options: unknown, format: Format): Step {
  return (side: Side) => {
    const value: unknown = typeof options === 'function' ? (options as (side: Side) => unknown)(side) : options;
    return remove(formats[format].write(value), { headers: formats[format].headers })(side);
  };
}

const bodies = (format: Format): DifferentialCase[] => [
  ...Object.entries({ ...deleteOptions, ...wrongDeleteOptions }).map(([name, options]) => ({
    name: `a delete (${format}) ${name}`,
    given: {},
    atRest: true,
    requests: [removing(options, format)],
  })),
  ...Object.entries(deleteOptions).map(([name, options]) => ({
    name: `a delete (${format}) ${name}, of what a finalizer holds`,
    given: held,
    atRest: true,
    requests: [removing(options, format)],
  })),
];

describe('deletes of sessions and of their twin', () => {
  const env = useCluster();
  compareCases(env, [
    ...bodies('JSON'),
    ...bodies('YAML'),
    ...table(
      'a delete with the query',
      Object.fromEntries(
        [
          'propagationPolicy=Background',
          'propagationPolicy=Foreground',
          'propagationPolicy=Orphan',
          'propagationPolicy=Nonsense',
          'propagationPolicy=',
          'propagationPolicy=Background&propagationPolicy=Foreground',
          'orphanDependents=true',
          'orphanDependents=false',
          'orphanDependents=0',
          'orphanDependents=maybe',
          'orphanDependents=',
          'orphanDependents=true&propagationPolicy=Orphan',
          'gracePeriodSeconds=5',
          'gracePeriodSeconds=0',
          'gracePeriodSeconds=-1',
          'gracePeriodSeconds=abc',
          'gracePeriodSeconds=',
          'gracePeriodSeconds=1.5',
          'gracePeriodSeconds=99999999999999999999',
          'dryRun=All',
          'dryRun=All&dryRun=All',
          'dryRun=all',
          'dryRun=',
          'dryRun=All&dryRun=x',
          'dryRun=x&propagationPolicy=y&orphanDependents=true',
          'uid=another',
          'resourceVersion=1',
          'preconditions.uid=x',
          'unknown=x',
        ].map((query) => [query, remove(undefined, { query })]),
      ),
      { given: {}, atRest: true },
    ),
    ...table(
      'a delete with a finalizer and the query',
      Object.fromEntries(
        [
          'propagationPolicy=Background',
          'propagationPolicy=Foreground',
          'propagationPolicy=Orphan',
          'orphanDependents=false',
          'gracePeriodSeconds=30',
          'dryRun=All',
          'dryRun=All&propagationPolicy=Foreground',
        ].map((query) => [query, remove(undefined, { query })]),
      ),
      { given: held },
    ),
    ...table('a delete of a body', {
      'that is null': { given: {}, requests: [remove('null')] },
      'that is a list': { given: {}, requests: [remove('[]')] },
      'that is text': { given: {}, requests: [remove('"text"')] },
      'that ends early': { given: {}, requests: [remove('{')] },
      'that is blank': { given: {}, requests: [remove(' ')] },
      'that is no JSON': { given: {}, requests: [remove('hello')] },
      'that says something twice': {
        given: held,
        requests: [remove('{"propagationPolicy":"Foreground","propagationPolicy":"Background"}')],
      },
      'that is YAML but said to be JSON': { given: {}, requests: [remove('propagationPolicy: Foreground\n')] },
      'of no type': { given: {}, requests: [remove('{}', { headers: { 'content-type': '' } })] },
      'of a type with parameters': {
        given: {},
        requests: [remove('{}', { headers: { 'content-type': 'application/json;charset=utf-8' } })],
      },
      'beside a query, which is not looked at': {
        given: {},
        requests: [remove('{}', { query: 'dryRun=All&propagationPolicy=Nonsense' })],
      },
    }),
    ...table('a delete', {
      'is followed by nothing': { given: {}, requests: [remove(), read(), remove()] },
      'of what is not there': { requests: [remove()] },
      'of what is not there, of a certain uid': { requests: [remove({ preconditions: { uid: 'another' } })] },
      'of what is not there, with bad options': { requests: [remove({ propagationPolicy: 'Nonsense' })] },
      'across namespaces': {
        requests: [(side) => ({ method: 'DELETE', path: `${side.everywhere}/${side.name}` })],
        differs: { row: 'pages', session: '404 NotFound', twin: '404 404 page not found' },
      },
      'that is only tried leaves it': { given: {}, requests: [remove({ dryRun: ['All'] }), read()] },
      'that is only tried, of what is held, leaves it': {
        given: held,
        requests: [remove({ dryRun: ['All'] }), read()],
      },
      'in the foreground that is only tried leaves it': {
        given: {},
        requests: [remove({ dryRun: ['All'], propagationPolicy: 'Foreground' }), read()],
      },
      'of orphans that is only tried leaves it': {
        given: held,
        requests: [remove({ dryRun: ['All'], propagationPolicy: 'Orphan' }), read()],
      },
      'twice, of what is held': { given: held, requests: [remove(), remove(), read()] },
      'twice, the second with a wrong uid': {
        given: held,
        requests: [remove(), remove({ preconditions: { uid: 'another' } })],
      },
      'twice, the second only tried': { given: held, requests: [remove(), remove({ dryRun: ['All'] })] },
      'of what is held, until it is let go': {
        given: held,
        requests: [remove(), patchMerge({ metadata: { finalizers: null } }), read()],
      },
      'of what two hold, one of whom lets go': {
        given: { metadata: { finalizers: ['a.io/x', 'b.io/y'] } },
        requests: [remove(), patchMerge({ metadata: { finalizers: ['b.io/y'] } }), read()],
      },
      'of what is held, and no finalizer can be added': {
        given: held,
        requests: [remove(), patchMerge({ metadata: { finalizers: ['x.io/hold', 'y.io/more'] } })],
      },
      'of what is held, and labels can still change': {
        given: held,
        requests: [remove(), patchMerge({ metadata: { labels: { a: 'b' } } })],
      },
      'that says nothing, of what is to be orphaned': {
        given: { metadata: { finalizers: ['a.io/x', 'orphan', 'b.io/y'] } },
        requests: [remove({})],
      },
      'that says nothing, of what is to go in the foreground': {
        given: { metadata: { finalizers: ['foregroundDeletion', 'a.io/x'] } },
        requests: [remove({})],
      },
      'in the foreground, of what was to be orphaned': {
        given: { metadata: { finalizers: ['a.io/x', 'orphan', 'b.io/y'] } },
        requests: [remove({ propagationPolicy: 'Foreground' })],
      },
      'in the background, of what was to go in the foreground': {
        given: { metadata: { finalizers: ['foregroundDeletion'] } },
        requests: [remove({ propagationPolicy: 'Background' }), read()],
      },
      'that does not orphan, of what was to be orphaned': {
        given: { metadata: { finalizers: ['orphan', 'a.io/x'] } },
        requests: [remove({ orphanDependents: false })],
      },
    }),
    ...table('a delete that wants', {
      'a Table of what is gone': { given: {}, requests: [accepting(shapes.table)] },
      'metadata of what is gone': { given: {}, requests: [accepting(shapes.partial)] },
      'YAML of what is gone': { given: {}, requests: [accepting(shapes.yaml)] },
      'metadata of what is held': { given: held, requests: [accepting(shapes.partial)] },
      'YAML of what is held': { given: held, requests: [accepting(shapes.yaml)] },
      'something that there is not': {
        given: {},
        requests: [accepting('application/json;as=Nonsense;v=v1;g=meta.k8s.io')],
      },
      'it indented': { given: held, requests: [remove(undefined, { query: 'pretty=true' })] },
      'YAML of a mistake in JSON': {
        given: {},
        requests: [remove({ dryRun: ['x'] }, { headers: { ...json, accept: shapes.yaml } })],
      },
      'JSON of a mistake in YAML': {
        given: {},
        requests: [remove('a: [', { headers: yaml })],
        differs: {
          row: 'yaml',
          of: words,
          session:
            '400 BadRequest: yaml: line 1: Flow sequence in block collection must be sufficiently indented and end with a ]',
          twin: '400 BadRequest: yaml: line 1: did not find expected node content',
        },
      },
    }),
  ]);
});
