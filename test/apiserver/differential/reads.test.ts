import { useCluster } from '../../support/cluster.ts';
import { compareReads, listed, listedEverywhere, type ReadCase } from './support/reads.ts';
import { acceptOf, type RepresentationName, representations } from './support/representations.ts';
import type { Side } from './support/side.ts';

type Query = string | ((side: Side) => string);

const queryOf = (query: Query, side: Side) => (typeof query === 'string' ? query : query(side));
const version = (side: Side) => side.given?.metadata.resourceVersion ?? '';

/** What is asked of one object: [behaviour, query, name]. */
const gets: [string, Query, string?][] = [
  ['an object', ''],
  ['another object', '', 'a5'],
  ['no object', '', 'nobody'],
  ['a name in capitals', '', 'A0'],
  ['any version', 'resourceVersion=0'],
  ['no object of any version', 'resourceVersion=0', 'nobody'],
  ['no version', 'resourceVersion='],
  ['a version that is known', (side) => `resourceVersion=${version(side)}`],
  ['an old version', 'resourceVersion=1'],
  ['a version of the future', 'resourceVersion=99999999'],
  ['no object of a version of the future', 'resourceVersion=99999999', 'nobody'],
  ['a version that is a word', 'resourceVersion=abc'],
  ['a version that is negative', 'resourceVersion=-1'],
  ['a version that is too long', 'resourceVersion=18446744073709551616'],
  ['two versions', 'resourceVersion=0&resourceVersion=abc'],
  ['an export', 'export=true'],
  ['no export', 'export=false'],
  ['a watch of one object', 'watch=true&timeoutSeconds=1'],
  ['selectors of no meaning', 'fieldSelector=metadata.name%3Da1&labelSelector=((('],
  ['numbers of no meaning', 'limit=x&timeoutSeconds=x&continue=x'],
  ['rows with objects', 'includeObject=Object'],
  ['rows without objects', 'includeObject=None'],
  ['rows with something else', 'includeObject=Something'],
  ['no object and rows with something else', 'includeObject=Something', 'nobody'],
  ['an unknown parameter', 'color=red'],
  ['a pretty answer', 'pretty=true'],
  ['an answer that is not pretty', 'pretty=0'],
];

/** What is asked of a list: [behaviour, query]. Every list is of the objects of this suite. */
const lists: [string, Query][] = [
  ['everything', ''],
  ['any version', 'resourceVersion=0'],
  ['any version, saying so', 'resourceVersion=0&resourceVersionMatch=NotOlderThan'],
  ['any version, to a limit', 'resourceVersion=0&limit=2'],
  ['a version or newer', (side) => `resourceVersion=${version(side)}`],
  ['a version or newer, saying so', (side) => `resourceVersion=${version(side)}&resourceVersionMatch=NotOlderThan`],
  [
    'a version or newer, to a limit',
    (side) => `resourceVersion=${version(side)}&resourceVersionMatch=NotOlderThan&limit=2`,
  ],
  ['exactly a version', (side) => `resourceVersion=${version(side)}&resourceVersionMatch=Exact`],
  ['exactly a version, to a limit', (side) => `resourceVersion=${version(side)}&resourceVersionMatch=Exact&limit=1`],
  ['exactly a version, by a limit alone', (side) => `resourceVersion=${version(side)}&limit=1`],
  ['exactly any version', 'resourceVersion=0&resourceVersionMatch=Exact'],
  ['a match without a version', 'resourceVersionMatch=Exact'],
  ['an unknown match', 'resourceVersion=1&resourceVersionMatch=Newest'],
  ['an unknown match without a version', 'resourceVersionMatch=Newest'],
  ['a match beside a token', 'resourceVersion=1&resourceVersionMatch=Exact&continue=x'],
  ['a version of the future', 'resourceVersion=99999999'],
  ['exactly a version of the future', 'resourceVersion=99999999&resourceVersionMatch=Exact'],
  ['a version of the future, to a limit', 'resourceVersion=99999999&limit=1'],
  ['a version that is a word', 'resourceVersion=abc'],
  ['a version that is a word, to a limit', 'resourceVersion=abc&limit=1'],
  ['exactly a version that is a word', 'resourceVersion=abc&resourceVersionMatch=Exact'],
  ['a version that is too long', 'resourceVersion=18446744073709551616'],
  ['a token that is none', 'continue=garbage'],
  ['a token that is not base64', 'continue=%21%21'],
  ['a token beside a version', 'continue=garbage&resourceVersion=5'],
  ['initial events', 'sendInitialEvents=true'],
  ['initial events of no value, and a match', 'sendInitialEvents=&resourceVersionMatch=Exact'],
  ['a limit', 'limit=2'],
  ['a limit of all', 'limit=6'],
  ['a limit of more', 'limit=500'],
  ['a limit of 0', 'limit=0'],
  ['a negative limit', 'limit=-1'],
  ['a limit that is a word', 'limit=many'],
  ['an empty limit', 'limit='],
  ['a limit that is too large', 'limit=9223372036854775808'],
  ['a time that is a word', 'timeoutSeconds=soon'],
  ['no watch', 'watch=0'],
  ['no watch in capitals', 'watch=FALSE'],
  ['rows with objects', 'includeObject=Object&limit=2'],
  ['rows without objects', 'includeObject=None'],
  ['rows with something else', 'includeObject=Something'],
  ['a name', 'fieldSelector=metadata.name%3Da1'],
  ['a name that nobody has', 'fieldSelector=metadata.name%3Dnobody'],
  ['a name and a limit', 'fieldSelector=metadata.name%3Da1&limit=1'],
];

/** Selectors of labels: [selector]. */
const labelSelectors = [
  'i=1',
  'i==1',
  'i!=1',
  'i in (1,3)',
  'i notin (1,3)',
  'i in ()',
  'i notin (1,3),parity=odd',
  'empty',
  '!empty',
  'empty=',
  'empty in (,x)',
  'example.com/half=first',
  'example.com/half!=first,!empty',
  'i>2',
  'i<2',
  'i > 2 , i < 4',
  'parity>1',
  'nothing',
  '!nothing',
  'i=1,i=2',
  ' i = 1 ',
  'i',
  'in in (in)',
  '=',
  'i=1,',
  ',i=1',
  'i,,parity',
  'i=1=2',
  '!i=1',
  'i in',
  'i in 1',
  'i in (1',
  'i in (1 2)',
  'i in (=)',
  'i 1',
  'i=!',
  '-i=1',
  'i=-1',
  'i in (-1,_2)',
  'i>x',
  'a/b/c=1',
  '/i=1',
  'UPPER.com/i=1',
  'example.com/=1',
  `${'k'.repeat(64)}=1`,
  `i=${'v'.repeat(64)}`,
  'i=ü',
  'i="1"',
  '(i=1)',
];

const fieldSelectors = [
  'metadata.name=a1',
  'metadata.name==a1',
  'metadata.name!=a1',
  'metadata.name!=a1,metadata.name!=a2',
  'metadata.name=a1,metadata.name=a2',
  'metadata.name=a2,metadata.name=a1',
  'metadata.name=a1,',
  ',',
  'metadata.name=',
  'metadata.name!=',
  'metadata.namespace=elsewhere',
  'metadata.namespace!=elsewhere',
  'spec.runtimeRef.name=other',
  'spec.runtimeRef.name!=other',
  'spec.runtimeRef.name=other,metadata.name=a1',
  'status.phase=Ready',
  'status.phase!=Ready',
  'status.phase=Suspended,spec.runtimeRef.name=other',
  'status.phase=',
  'spec.suspended=true',
  'metadata.uid=x',
  'nothing',
  'metadata.name',
  'metadata.name>a1',
  'metadata.name=a1=a2',
  'metadata.name===a1',
  'metadata.name=a\\=1',
  'metadata.name=a\\,1',
  'metadata.name=a\\\\1',
  'metadata.name=a\\1',
  'metadata.name=a1\\',
  ' metadata.name=a1',
  'metadata.name= a1',
  'metadata.name=../a1',
  'metadata.name=a1/proxy',
];

/** Accept headers by which no kind of client asks: [header]. */
const accepts = [
  '',
  '*/*',
  'application/*',
  'text/html',
  'text/html,application/json',
  'text/html, */*;q=0.1',
  'application/yaml, application/json;q=0.9',
  'application/yaml;q=0.5, application/json',
  'application/cbor',
  'application/json;pretty=1',
  'application/json;as=Table;v=v1beta1;g=meta.k8s.io',
  'application/json;as=PartialObjectMetadata;v=v1beta1;g=meta.k8s.io',
  'application/json;as=PartialObjectMetadataList;v=v1beta1;g=meta.k8s.io',
  'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
  'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
  'application/json;as=Table;v=v2;g=meta.k8s.io,application/json',
  'application/json;as=Table;v=v2;g=meta.k8s.io',
  'application/json;as=Table;v=v1;g=meta.k8s.io;q=0.1,application/json',
  'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json',
  'application/json;as=Thing;v=v1;g=meta.k8s.io',
  'application/json;as=Table',
  'application/json;g=meta.k8s.io',
  'application/json;stream=watch',
  'application/json;stream=something',
  'application/json;sv=v1',
  'application/json;sv=v2',
  'application/json;charset=utf-8',
  'application/vnd.kubernetes.protobuf,application/json',
];

const cases: ReadCase[] = [];
for (const name of Object.keys(representations) as RepresentationName[]) {
  for (const [behaviour, query, object] of gets) {
    const headers = { accept: acceptOf(name, 'single') };
    const step = (side: Side) =>
      ({ method: 'GET', path: side.item(object), query: queryOf(query, side), headers }) as const;
    cases.push({ name: `get ${behaviour} as ${name}`, requests: [step] });
  }
  for (const [behaviour, query] of lists) {
    const headers = { accept: acceptOf(name, 'list') };
    cases.push({
      name: `list ${behaviour} as ${name}`,
      requests: [(side) => listed(side, queryOf(query, side), headers)],
    });
  }
}
for (const selector of labelSelectors) {
  const query = `labelSelector=${encodeURIComponent(selector)}`;
  cases.push({
    name: `list by labels ${selector}`,
    requests: [(side) => ({ method: 'GET', path: side.collection, query })],
  });
}
for (const selector of fieldSelectors) {
  const query = `fieldSelector=${encodeURIComponent(selector)}`;
  cases.push({ name: `list by fields ${selector}`, requests: [(side) => listed(side, query)] });
}
for (const accept of accepts) {
  const headers = { accept };
  // An error is written in protobuf for whoever would take it, where there is protobuf.
  const isError = !accept.includes('protobuf');
  cases.push(
    { name: `get, accepting ${accept}`, requests: [(side) => ({ method: 'GET', path: side.item(), headers })] },
    ...(isError
      ? [
          {
            name: `get nobody, accepting ${accept}`,
            requests: [(side: Side) => ({ method: 'GET' as const, path: side.item('nobody'), headers })],
          },
        ]
      : []),
    { name: `list, accepting ${accept}`, requests: [(side) => listed(side, 'limit=2', headers)] },
  );
}

/** The next page of the last answer. */
const next = (query: string) => (side: Side) => listed(side, `${query}&${tokenOf(side)}`);
const tokenOf = (side: Side) => {
  const { metadata } = JSON.parse(side.answers.at(-1)?.text ?? '{}') as { metadata: { continue?: string } };
  return `continue=${encodeURIComponent(metadata.continue ?? '')}`;
};
const first = (query: string) => (side: Side) => listed(side, query);
cases.push(
  { name: 'pages of two', requests: [first('limit=2'), next('limit=2'), next('limit=2')] },
  { name: 'pages of four', requests: [first('limit=4'), next('limit=4')] },
  { name: 'a page, then the rest', requests: [first('limit=2'), next('')] },
  { name: 'a page, then a larger one', requests: [first('limit=1'), next('limit=500')] },
  { name: 'a page, then any version', requests: [first('limit=2'), next('limit=2&resourceVersion=0')] },
  { name: 'a page, then a version', requests: [first('limit=2'), next('limit=2&resourceVersion=7')] },
  {
    name: 'pages of what a runtime has',
    requests: [
      first('limit=1&fieldSelector=spec.runtimeRef.name%3Dother'),
      next('limit=1&fieldSelector=spec.runtimeRef.name%3Dother'),
      next('limit=1&fieldSelector=spec.runtimeRef.name%3Dother'),
    ],
  },
  {
    name: 'pages of a phase',
    requests: [first('limit=1&fieldSelector=status.phase%3DReady'), next('limit=1&fieldSelector=status.phase%3DReady')],
  },
  {
    name: 'pages of a phase that end before the list does',
    requests: [
      first('limit=4&fieldSelector=status.phase%3DSuspended'),
      next('limit=4&fieldSelector=status.phase%3DSuspended'),
    ],
  },
  {
    name: 'a page of a phase, then the rest',
    requests: [first('limit=1&fieldSelector=status.phase%21%3DReady'), next('fieldSelector=status.phase%21%3DReady')],
  },
  { name: 'HEAD of an object', requests: [(side) => ({ method: 'HEAD', path: side.item() })] },
  { name: 'HEAD of nobody', requests: [(side) => ({ method: 'HEAD', path: side.item('nobody') })] },
  { name: 'HEAD of a list', requests: [(side) => ({ method: 'HEAD', path: side.collection })] },
  {
    name: 'a list with a slash at its end',
    requests: [(side) => ({ ...listed(side, ''), path: `${side.collection}/` })],
  },
  { name: 'an object with a slash at its end', requests: [(side) => ({ method: 'GET', path: `${side.item()}/` })] },
  { name: 'a list across namespaces', requests: [(side) => listedEverywhere(side)] },
  {
    name: 'a list of any version across namespaces',
    requests: [(side) => listedEverywhere(side, 'resourceVersion=0')],
  },
  {
    name: 'pages across namespaces',
    requests: [
      (side) => listedEverywhere(side, 'limit=4'),
      (side) => listedEverywhere(side, `limit=4&${tokenOf(side)}`),
    ],
  },
  { name: 'a subresource that there is not', requests: [(side) => ({ method: 'GET', path: `${side.item()}/scale` })] },
  {
    name: 'a namespace that there is not',
    requests: [(side) => ({ method: 'GET', path: side.collection.replace(side.namespace, 'nowhere') })],
  },
  {
    name: 'a browser',
    requests: [
      (side) => ({ method: 'GET', path: side.item(), headers: { 'user-agent': 'Mozilla/5.0', accept: '*/*' } }),
    ],
  },
  { name: 'curl', requests: [(side) => ({ ...listed(side, 'limit=1'), headers: { 'user-agent': 'curl/8.0' } })] },
);

describe('reads of sessions are answered as of a custom resource', () => {
  compareReads(useCluster(), cases);
});
