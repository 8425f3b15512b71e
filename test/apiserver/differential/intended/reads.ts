import type { NormalAnswer } from '../support/normalize.ts';
import { representations } from '../support/representations.ts';
import { create, json, read } from '../support/requests.ts';
import { last } from '../support/shown.ts';
import type { Side } from '../support/side.ts';
import type { WireRequest } from '../support/wire.ts';
import type { Difference } from './difference.ts';

const list = (side: Side, query: Record<string, string>, accept: string = representations.JSON): WireRequest => ({
  method: 'GET',
  path: side.collection,
  query,
  headers: { accept },
});
const named = (side: Side, selector: string) =>
  list(side, { fieldSelector: `metadata.name=${side.name},${selector}`, resourceVersion: '' });

const contentType = (answers: readonly NormalAnswer[]) =>
  `${last(answers).status} ${last(answers).headers['content-type']}`;

/** How many objects each answer lists. */
const counts = (answers: readonly NormalAnswer[]) =>
  answers.map(({ body }) => (body as { items?: unknown[] }).items?.length);

/** Names and types of a table's columns. */
const columns = (answers: readonly NormalAnswer[]) => {
  const { columnDefinitions } = last(answers).body as {
    columnDefinitions: { name: string; type: string; priority: number }[];
  };
  return columnDefinitions.map(({ name, type, priority }) => `${name} ${type} ${priority}`);
};

/** What differs in what can be read. */
export const reads = {
  noStatus: {
    cases: {
      'a get of the subresource status': {
        given: {},
        requests: [(side) => ({ method: 'GET', path: `${side.item()}/status` })],
        shown: { session: '404 NotFound', twin: '200 Session' },
      },
    },
  },
  phaseSelector: {
    cases: {
      'lists of those that have a phase, and of those that have none, though nobody wrote it': {
        given: {},
        requests: [(side) => named(side, 'status.phase!='), (side) => named(side, 'status.phase=')],
        shown: { of: counts, session: [1, 0], twin: [0, 1] },
      },
    },
  },
  protobuf: {
    cases: {
      'a create that accepts protobuf alone': {
        requests: [create({}, { headers: { accept: 'application/vnd.kubernetes.protobuf' } })],
        shown: { of: contentType, session: '406 application/json', twin: '406 application/vnd.kubernetes.protobuf' },
      },
      'a get of metadata in protobuf, or else in JSON': {
        given: {},
        requests: [
          read({
            headers: {
              accept:
                'application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json',
            },
          }),
        ],
        shown: {
          of: contentType,
          session: '200 application/json',
          twin: '200 application/vnd.kubernetes.protobuf',
        },
      },
    },
  },
  pages: {
    cases: {
      'a create across namespaces': {
        requests: [(side) => ({ method: 'POST', path: side.everywhere, headers: json, body: side.manifest() })],
        shown: { session: '405 MethodNotAllowed', twin: '404 404 page not found' },
      },
    },
  },
  columns: {
    cases: {
      'a table': {
        given: {},
        requests: [read({ headers: { accept: representations.Table } })],
        shown: {
          of: columns,
          session: [
            'Name string 0',
            'Runtime string 0',
            'Phase string 0',
            'Idle string 0',
            'Expires string 0',
            'Age string 0',
            'User string 1',
            'Start string 1',
            'Node string 1',
            'Address string 1',
          ],
          twin: [
            'Name string 0',
            'Runtime string 0',
            'Phase string 0',
            'Expires date 0',
            'Age date 0',
            'User string 1',
          ],
        },
      },
    },
  },
  continueTokens: {
    cases: {
      'a page of another selector': {
        given: { metadata: { labels: { page: 'first' } } },
        requests: [
          create((side) => ({ metadata: { name: `${side.name}-second`, labels: { page: 'first' } } })),
          (side) => list(side, { labelSelector: 'page=first', limit: '1' }),
          (side) => {
            const { metadata } = JSON.parse(side.answers.at(-1)?.text ?? '') as { metadata: { continue: string } };
            return list(side, { labelSelector: 'page=none', limit: '1', continue: metadata.continue });
          },
        ],
        shown: { session: '400 BadRequest', twin: '200 SessionList' },
      },
    },
  },
} satisfies Record<string, Difference>;
