import { expect } from 'chai';
import { loadClusterConfig } from '../../apis/client/kubeconfig.ts';
import { readLines } from '../../apis/client/lines.ts';
import type { Status, WatchEvent } from '../../apis/machinery/meta.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { sessionsPath } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';
import { until } from '../support/until.ts';
import { Wire, type WireRequest } from './differential/support/wire.ts';

const type = '"apiVersion":"sojourn.dev/v1alpha1","kind":"Session"';
const deepObject = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
const bomb = [
  'a: &a [x, x, x, x, x, x, x, x, x, x]',
  ...Array.from('bcdefghi', (own, index) => `${own}: &${own} [${Array(10).fill(`*${'abcdefghi'[index]}`).join(', ')}]`),
].join('\n');

/** Bodies that mean no good, in the formats that are read. */
const bodies: Readonly<Record<string, string | Buffer>> = {
  nothing: '',
  'a truncated object': `{${type},"metadata":{"name":"x`,
  'a truncated escape': '{"a":"\\u12',
  'an array of 100,000 arrays': '['.repeat(100_000),
  'an object of 9,000 objects': `{${type},"metadata":{"name":"deep"},"spec":${deepObject(9_000)}}`,
  'metadata of 9,000 objects': `{${type},"metadata":${deepObject(9_000)}}`,
  'managedFields of 9,000 objects': `{${type},"metadata":{"name":"deep","managedFields":[{"fieldsV1":${deepObject(9_000)}}]}}`,
  'members named __proto__': `{${type},"__proto__":{"spec":{}},"metadata":{"__proto__":{"name":"x"}},"constructor":{"prototype":{"polluted":1}}}`,
  'a label named __proto__': `{${type},"metadata":{"name":"x","labels":{"__proto__":"x","constructor":"y"}},"spec":null}`,
  'bytes that are no UTF-8': Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0xc3, 0x28, 0x22, 0x3a, 0x31, 0x7d]),
  'zero bytes': Buffer.alloc(1_000),
  'a byte order mark': `\ufeff{${type}}`,
  'a million members': `{${Array.from({ length: 200_000 }, (_, index) => `"${index}":1`).join(',')}}`,
  'a million equal members': `{${'"a":1,'.repeat(300_000)}"b":1}`,
  'a number of a million digits': `{${type},"metadata":{"generation":${'9'.repeat(1_000_000)}}}`,
  'a text of a million quotes': `{${type},"metadata":{"name":"${'\\"'.repeat(500_000)}"}}`,
  '100,000 equal owners': `{${type},"metadata":{"name":"x","ownerReferences":[${'{"uid":"u","name":"n"},'.repeat(100_000)}{}]}}`,
  'three megabytes and one byte': ' '.repeat(3 * 1024 * 1024 + 1),
  'a YAML bomb': bomb,
  'YAML of 100,000 brackets': '['.repeat(100_000),
  'YAML of 50,000 dashes': '- '.repeat(50_000),
  'YAML of megabytes': `a: ${'x '.repeat(1_400_000)}`,
  'YAML with a tag of code': 'a: !!js/function "function () { process.exit(1) }"\nkind: Session',
  '10,001 operations': JSON.stringify(
    Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/kind', value: 'Session' })),
  ),
  '9,000 failing operations': JSON.stringify(
    Array.from({ length: 9_000 }, (_, index) => ({ op: 'add', path: `/metadata/labels/${index}/x`, value: 1 })),
  ),
  'copies without end': JSON.stringify(
    Array.from({ length: 60 }, () => ({ op: 'copy', from: '/metadata', path: '/metadata/x' })),
  ),
  'a patch of prototypes': JSON.stringify([{ op: 'add', path: '/__proto__/polluted', value: 1 }]),
  'a patch of everything': JSON.stringify([{ op: 'replace', path: '', value: [] }]),
};

/** Every way in which a body reaches us. */
const requests: readonly Pick<WireRequest, 'method' | 'headers' | 'query'>[] = [
  { method: 'POST', headers: { 'content-type': 'application/json' } },
  { method: 'POST', headers: { 'content-type': 'application/yaml' }, query: { fieldValidation: 'Strict' } },
  { method: 'PUT', headers: { 'content-type': 'application/json' } },
  { method: 'PATCH', headers: { 'content-type': 'application/json-patch+json' } },
  {
    method: 'PATCH',
    headers: { 'content-type': 'application/merge-patch+json' },
    query: { fieldValidation: 'Strict' },
  },
  { method: 'PATCH', headers: { 'content-type': 'application/apply-patch+yaml' }, query: { fieldManager: 'me' } },
  { method: 'DELETE', headers: { 'content-type': 'application/json' }, query: { dryRun: 'All' } },
  { method: 'DELETE', headers: { 'content-type': 'application/yaml' }, query: { dryRun: 'All' } },
];

describe('hostile bodies', () => {
  const env = useCluster();
  const space = env.namespace('bodies');
  const processOf = () => env.cluster.plane.processes.find(({ name }) => name === 'sojourn-apiserver')?.pid;
  const create = async (name: string) => {
    const spec = { runtimeRef: { kind: 'CodeInterpreter', name: 'none' }, suspended: true };
    const body = { apiVersion: 'sojourn.dev/v1alpha1', kind: 'Session', metadata: { name }, spec };
    await env.client.request({ method: 'POST', path: sessionsPath(space.name), body });
  };
  const events: WatchEvent<Session>[] = [];
  const abort = new AbortController();
  let wire: Wire;
  let reading: Promise<void>;
  let pid: number | undefined;

  before('somebody else watches', async () => {
    pid = processOf();
    wire = new Wire(await loadClusterConfig(env.cluster.plane.kubeconfigs.admin));
    await create('victim');
    const stream = await env.client.stream({
      path: sessionsPath(space.name),
      query: { watch: 'true', resourceVersion: '0' },
      signal: abort.signal,
    });
    reading = (async () => {
      for await (const line of readLines(stream.body))
        events.push(JSON.parse(line.toString('utf8')) as WatchEvent<Session>);
    })().catch((error: unknown) => {
      if (!abort.signal.aborted) throw error;
    });
  });
  after(async () => {
    abort.abort();
    await Promise.all([reading, wire.close()]);
  });

  for (const [what, body] of Object.entries(bodies)) {
    it(`of ${what} get a Status, in time`, async () => {
      for (const request of requests) {
        const path = request.method === 'POST' ? sessionsPath(space.name) : `${sessionsPath(space.name)}/victim`;
        const began = performance.now();
        const answer = await wire.send({ ...request, path, body });
        const how = `${request.method} ${JSON.stringify(request.headers)}: ${answer.text.slice(0, 300)}`;
        // What one format refuses may be harmless in another; what is never right is an accident of ours.
        if (answer.status >= 400) {
          const { kind, reason } = JSON.parse(answer.text) as Status;
          expect(kind, how).to.equal('Status');
          expect(reason, how).not.to.equal('InternalError');
        }
        expect(answer.text.length, how).to.be.lessThan(200_000);
        expect(performance.now() - began, how).to.be.lessThan(10_000);
      }
      expect(processOf()).to.equal(pid);
    });
  }

  it('change nothing for others', async () => {
    expect(({} as { polluted?: unknown }).polluted).to.equal(undefined);
    await create('afterwards');
    await until('the watch to go on', () => events.some(({ object }) => object.metadata.name === 'afterwards'));
    expect(events.every(({ object }) => ['victim', 'afterwards'].includes(object.metadata.name ?? ''))).to.equal(true);
  });
});
