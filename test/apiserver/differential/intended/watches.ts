import type { NormalAnswer } from '../support/normalize.ts';
import { last } from '../support/shown.ts';
import type { Side } from '../support/side.ts';
import type { WireRequest } from '../support/wire.ts';
import type { Difference } from './difference.ts';
import { manyWatches } from './many-watches.ts';
import { watchSockets } from './watch-sockets.ts';

/** A watch is over soon, but not before a busy machine has sent what there is. */
const longEnough = 'timeoutSeconds=5';

const watch = (path: string, { name }: Side, query: string, accept = 'application/json'): WireRequest => ({
  method: 'GET',
  path,
  query: `${query}fieldSelector=metadata.name%3D${name}&resourceVersion=0&${longEnough}`,
  headers: { accept },
});

/** Status of the answer, and the kinds that its lines are about; an empty body is a line. */
const events = (answers: readonly NormalAnswer[]) => {
  const { status, body } = last(answers);
  const lines = [body].flat() as { kind?: string; type?: string; object?: { kind?: string } }[];
  return [
    status,
    ...new Set(lines.map((line) => (typeof line === 'object' ? (line.object?.kind ?? line.kind) : line))),
  ];
};

/** What differs in watches. */
export const watches = {
  watchPath: {
    cases: {
      'a watch by the deprecated path': {
        given: {},
        atRest: true,
        requests: [(side) => watch(side.collection.replace('/namespaces/', '/watch/namespaces/'), side, '')],
        shown: { of: events, session: [404, 'Status'], twin: [200, 'Session'] },
      },
    },
  },
  partialWatch: {
    cases: {
      'a watch of lists of metadata': {
        given: {},
        atRest: true,
        requests: [
          (side) =>
            watch(
              side.collection,
              side,
              'watch=true&',
              'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
            ),
        ],
        shown: { of: events, session: [200, 'PartialObjectMetadata'], twin: [200, ''] },
      },
    },
  },
  manyWatches: { behaviour: manyWatches },
  watchSockets: { behaviour: watchSockets },
} satisfies Record<string, Difference>;
