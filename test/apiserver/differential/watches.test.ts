import { useCluster } from '../../support/cluster.ts';
import { compareLive, type LiveCase } from './support/live.ts';
import { compareReads, type ReadCase, suiteLabel } from './support/reads.ts';
import { type RepresentationName, representations } from './support/representations.ts';
import { patchMerge, remove } from './support/requests.ts';
import type { Side } from './support/side.ts';
import type { WireRequest } from './support/wire.ts';

type Query = string | ((side: Side) => string);

const version = (side: Side) => side.given?.metadata.resourceVersion ?? '';
const brief = 'timeoutSeconds=1';
const notOlder = 'resourceVersionMatch=NotOlderThan';

/** What is asked of a watch: [behaviour, query]. Most end by themselves after a second. */
const watches: [string, Query][] = [
  ['of everything', brief],
  ['of everything, with bookmarks', `${brief}&allowWatchBookmarks=true`],
  ['of any version', `${brief}&resourceVersion=0`],
  ['of any version, with bookmarks', `${brief}&resourceVersion=0&allowWatchBookmarks=1`],
  ['of what comes after a version', (side) => `${brief}&resourceVersion=${version(side)}`],
  ['of what comes after the future', `${brief}&resourceVersion=99999999`],
  ['of what has been forgotten', `${brief}&resourceVersion=1`],
  ['with the state first', `${brief}&sendInitialEvents=true&${notOlder}&allowWatchBookmarks=true`],
  ['with the state first, without bookmarks', `${brief}&sendInitialEvents=true&${notOlder}`],
  [
    'with the state of any version first',
    `${brief}&sendInitialEvents=1&${notOlder}&resourceVersion=0&allowWatchBookmarks=true`,
  ],
  [
    'with the state of a version first',
    (side) => `${brief}&sendInitialEvents=1&${notOlder}&resourceVersion=${version(side)}&allowWatchBookmarks=true`,
  ],
  ['with the state of the future first', `timeoutSeconds=5&sendInitialEvents=1&${notOlder}&resourceVersion=99999999`],
  ['without the state', `${brief}&sendInitialEvents=false&${notOlder}`],
  ['without the state of any version', `${brief}&sendInitialEvents=0&${notOlder}&resourceVersion=0`],
  ['with the state first, and no match', 'sendInitialEvents=true'],
  ['with the state first, and an exact match', 'sendInitialEvents=true&resourceVersionMatch=Exact'],
  ['without the state, and no match', 'sendInitialEvents=false'],
  ['with a match', notOlder],
  ['with an exact match', 'resourceVersionMatch=Exact&resourceVersion=5'],
  ['with an unknown match', 'resourceVersionMatch=Newest'],
  ['with a token', `${brief}&continue=x`],
  ['with a token and a version', `${brief}&continue=x&resourceVersion=99999999`],
  ['with a token, the state first', `sendInitialEvents=1&${notOlder}&continue=x`],
  ['with a limit', `${brief}&limit=1`],
  ['with a limit that is a word', `${brief}&limit=many`],
  ['for a time that is a word', 'timeoutSeconds=soon'],
  ['for an empty time', 'timeoutSeconds='],
  ['for too long a time', 'timeoutSeconds=9223372036854775808'],
  ['from a version that is a word', 'resourceVersion=abc'],
  ['from a version that is too long', 'resourceVersion=18446744073709551616'],
  ['of a name', `${brief}&fieldSelector=metadata.name%3Da1`],
  ['of a name that nobody has, with bookmarks', `${brief}&fieldSelector=metadata.name%3Dnobody&allowWatchBookmarks=1`],
  ['of a runtime', `${brief}&fieldSelector=spec.runtimeRef.name%3Dother`],
  ['of a phase', `${brief}&fieldSelector=status.phase%3DReady`],
  ['of no phase', `${brief}&fieldSelector=status.phase%21%3DReady`],
  ['of labels', `${brief}&labelSelector=parity%3Dodd`],
  ['of labels and a name', `${brief}&labelSelector=parity%3Dodd&fieldSelector=metadata.name%3Da1`],
  ['of labels that nobody has', `${brief}&labelSelector=color`],
  ['of a selector that is none', 'labelSelector=%3D'],
  ['of an unknown field', 'fieldSelector=color%3Dred'],
  ['with objects in its rows', `${brief}&includeObject=Object&allowWatchBookmarks=1`],
  ['without objects in its rows', `${brief}&includeObject=None&allowWatchBookmarks=1`],
  ['with something else in its rows', `${brief}&includeObject=Something`],
];

/** Ways to say that it is a watch. */
const words = ['watch', 'watch=', 'watch=1', 'watch=yes', 'watch=true&watch=false'];

/** Accept headers of watches besides the usual ones. */
const accepts = [
  'application/json;stream=watch',
  'application/json;stream=something',
  'application/json;as=Table;v=v1beta1;g=meta.k8s.io',
  'application/json;as=PartialObjectMetadata;v=v1beta1;g=meta.k8s.io',
  'application/json;as=Table;v=v2;g=meta.k8s.io',
  'application/yaml,application/json;q=0.1',
  'application/cbor',
  'text/html',
  '*/*',
];

function watch(side: Side, query: string, accept = 'application/json'): WireRequest {
  return { method: 'GET', path: side.collection, query: `watch=true&${query}`, headers: { accept } };
}

const cases: ReadCase[] = [];
for (const name of Object.keys(representations) as RepresentationName[]) {
  for (const [behaviour, query] of watches) {
    const queryOf = (side: Side) => (typeof query === 'string' ? query : query(side));
    const step = (side: Side) => watch(side, queryOf(side), representations[name]);
    cases.push({ name: `a watch ${behaviour} as ${name}`, requests: [step] });
  }
}
for (const word of words) {
  const query = `${word}&${brief}`;
  cases.push({ name: `a watch by ${word}`, requests: [(side) => ({ method: 'GET', path: side.collection, query })] });
}
for (const accept of accepts) {
  cases.push({ name: `a watch, accepting ${accept}`, requests: [(side) => watch(side, brief, accept)] });
}
cases.push(
  {
    name: 'a watch across namespaces',
    requests: [
      (side) => ({ ...watch(side, `${brief}&labelSelector=${suiteLabel}%3D${side.namespace}`), path: side.everywhere }),
    ],
  },
  { name: 'HEAD of a watch', requests: [(side) => ({ ...watch(side, brief), method: 'HEAD' })] },
  {
    name: 'a watch in a namespace that there is not',
    requests: [(side) => ({ ...watch(side, brief), path: side.collection.replace(side.namespace, 'nowhere') })],
  },
);

const turned = (to: string) => patchMerge({ metadata: { labels: { turn: to } } });

/** What happens while a watch runs: what was given, its selector, and the changes with their events. */
const live: Readonly<Record<string, Pick<LiveCase, 'given' | 'query' | 'initial' | 'changes'>>> = {
  'changes and goes': {
    given: {},
    query: '',
    initial: ['ADDED'],
    changes: [
      [turned('a'), 'MODIFIED'],
      [turned('b'), 'MODIFIED'],
      [remove(), 'DELETED'],
    ],
  },
  'ceases to match and matches again': {
    given: { metadata: { labels: { turn: 'in' } } },
    query: 'labelSelector=turn%3Din',
    initial: ['ADDED'],
    changes: [
      [turned('out'), 'DELETED'],
      [turned('in'), 'ADDED'],
      [remove(), 'DELETED'],
    ],
  },
  'begins to match and ceases to': {
    given: { metadata: { labels: { turn: 'out' } } },
    query: 'labelSelector=turn%3Din',
    initial: [],
    changes: [
      [turned('in'), 'ADDED'],
      [turned('out'), 'DELETED'],
    ],
  },
};

const liveCases = (['JSON', 'Table', 'Partial'] as const).flatMap((name) =>
  Object.entries(live).flatMap(([behaviour, one]): LiveCase[] => {
    const shared = { ...one, accept: representations[name] };
    return [
      { ...shared, name: `a watch from the state on of what ${behaviour} as ${name}`, from: 'state' },
      { ...shared, name: `a watch from a version on of what ${behaviour} as ${name}`, from: 'version', initial: [] },
    ];
  }),
);

describe('watches of sessions are answered as of a custom resource', () => {
  compareReads(useCluster(), cases);
});

describe('watches of sessions that are changed meanwhile are sent what those of a custom resource are', () => {
  compareLive(useCluster(), liveCases);
});
