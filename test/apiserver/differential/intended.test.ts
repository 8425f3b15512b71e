import { useCluster } from '../../support/cluster.ts';
import { compareCases } from './support/compare.ts';
import { create, createRaw, json, mergePatch, remove, table } from './support/requests.ts';
import type { Side } from './support/side.ts';
import type { WireRequest } from './support/wire.ts';

const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
const held = { metadata: { finalizers: ['example.com/hold'] } };
const own = (side: Side) => `fieldSelector=metadata.name%3D${side.name}&resourceVersion=0&timeoutSeconds=1`;
const read = (path: string, query: string, accept = 'application/json'): WireRequest => ({
  method: 'GET',
  path,
  query,
  headers: { accept },
});

describe('what sessions are meant to do otherwise than their twin', () => {
  const env = useCluster();
  compareCases(env, [
    ...table('a body', {
      'nested 1,500 levels deep': {
        differs: 'nesting',
        requests: [
          createRaw((side) => JSON.stringify(side.manifest({ spec: {} })).replace(/\}$/, `,"x":${nested(1500)}}`)),
        ],
      },
      'of a merge patch nested 100 levels deep': {
        given: {},
        differs: 'nesting',
        requests: [
          (side) => ({
            method: 'PATCH',
            path: side.item(),
            headers: mergePatch,
            body: `{"spec":{"x":${nested(100)}}}`,
          }),
        ],
      },
      'with 70 faults': {
        differs: 'causes',
        requests: [
          create({ metadata: { labels: Object.fromEntries(Array.from({ length: 70 }, (_, i) => [`_${i}`, 'x'])) } }),
        ],
      },
      "of another name than the path's": {
        differs: 'namedCreate',
        requests: [(side) => ({ method: 'POST', path: side.item('another'), headers: json, body: side.manifest() })],
      },
    }),
    ...table('a watch', {
      'by the deprecated path': {
        given: {},
        differs: 'watchPath',
        requests: [(side) => read(side.collection.replace('/namespaces/', '/watch/namespaces/'), own(side))],
      },
      'of lists of metadata': {
        given: {},
        differs: 'partialWatch',
        requests: [
          (side) =>
            read(
              side.collection,
              `watch=true&${own(side)}`,
              'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
            ),
        ],
      },
    }),
    ...table('a deletion', {
      'that is to wait for dependents after one that was not': {
        given: held,
        differs: 'lateDeletion',
        requests: [remove({ propagationPolicy: 'Background' }), remove({ propagationPolicy: 'Foreground' })],
      },
      'that is only tried and takes the last finalizer': {
        given: { metadata: { finalizers: ['foregroundDeletion'] } },
        differs: 'dryDeletion',
        requests: [remove({ propagationPolicy: 'Background', dryRun: ['All'] })],
      },
      'of what cannot be read': {
        given: {},
        differs: 'unsafeDeletion',
        requests: [remove({ ignoreStoreReadErrorWithClusterBreakingPotential: true })],
      },
    }),
  ]);
});
