import { expect } from 'chai';
import fc from 'fast-check';
import type { KubeObject } from '../../apis/machinery/meta.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { type SessionList, sessionsPath } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';
import { until } from '../support/until.ts';

/** Session documents that nobody of ours has written. */
const forged: Readonly<Record<string, string>> = {
  nothing: '',
  'no JSON': '{"format":',
  null: 'null',
  'a list': '[]',
  text: '"x"',
  'an empty object': '{}',
  'another format': '{"format":99}',
  prototypes: '{"__proto__":{"format":1},"constructor":{"prototype":{"polluted":1}}}',
  'a spec that is text': '{"format":1,"creationTimestamp":"2026-01-01T00:00:00Z","start":"Cold","spec":"x"}',
  'deep nesting': `{"format":1,"spec":${'['.repeat(50_000)}${']'.repeat(50_000)}}`,
  'numbers beyond all measure': '{"format":1e999,"generation":1e999}',
  'half a surrogate': '{"format":1,"start":"\\ud800"}',
  'a time that is none': JSON.stringify(document({ creationTimestamp: '9999-99-99T99:99:99Z' })),
  'a duration that is none': JSON.stringify(document({ spec: { ...document().spec, idleTimeout: '1x' } })),
  'an endless duration': JSON.stringify(document({ spec: { ...document().spec, maxDuration: `${'9'.repeat(60)}h` } })),
  'annotations that are numbers': JSON.stringify(document({ annotations: { a: 1 } })),
  'managedFields that are text': JSON.stringify(document({ managedFields: ['x', { fieldsV1: 'x' }] })),
  'managedFields of nonsense': JSON.stringify(
    document({ managedFields: [{ manager: 1, operation: {}, fieldsV1: { 'f:': [] } }] }),
  ),
  'a user that is a number': JSON.stringify(document({ user: 7 })),
  'endpoints of nonsense': JSON.stringify(
    document({ runtime: { ...document().runtime, endpoints: [{ pathPrefix: 7, port: 99_999 }] } }),
  ),
};

function document(change: object = {}): { spec: object; runtime: object } {
  return {
    ...{ format: 1, creationTimestamp: '2026-01-01T00:00:00Z', start: 'Cold', generation: 1, user: { username: 'u' } },
    spec: {
      runtimeRef: { kind: 'CodeInterpreter', name: 'none' },
      ...{ idleTimeout: '15m', maxDuration: '8h', idleAction: 'Delete', suspended: true },
    },
    runtime: {
      ...{ uid: 'u', generation: 1, endpoints: [], authMode: 'none' },
      limits: { idleTimeout: '15m', maxDuration: '8h' },
    },
    ...change,
  };
}

describe('forged session documents', () => {
  const env = useCluster();
  const space = env.namespace('forged');
  const processOf = () => env.cluster.plane.processes.find(({ name }) => name === 'sojourn-apiserver')?.pid;
  const path = () => sessionsPath(space.name);
  let pid: number | undefined;
  let made = 0;
  before(() => {
    pid = processOf();
  });

  /** With the one account that the guard lets write session data. */
  async function forge(text: string): Promise<string> {
    made += 1;
    const name = `forged-${made}`;
    await env.asAccount('sojourn-apiserver').request<KubeObject>({
      method: 'POST',
      path: `/apis/agents.x-k8s.io/v1beta1/namespaces/${space.name}/sandboxes`,
      body: {
        apiVersion: 'agents.x-k8s.io/v1beta1',
        kind: 'Sandbox',
        metadata: {
          name,
          labels: { 'sojourn.dev/session': 'true', 'u.sojourn.dev/forged': 'yes' },
          annotations: { 'sojourn.dev/session': text },
        },
        spec: {
          operatingMode: 'Suspended',
          podTemplate: { spec: { containers: [{ name: 'main', image: 'local/none' }] } },
        },
      },
    });
    return name;
  }

  /** Everything that can be done with a session is answered, and it can be got rid of. */
  async function use(name: string): Promise<void> {
    const read = await env.client.request<Session>({ path: `${path()}/${name}` });
    expect(read).to.include({ apiVersion: 'sojourn.dev/v1alpha1', kind: 'Session' });
    await until('the cache to have it', async () => {
      const { items } = await env.client.request<SessionList>({ path: path(), query: { resourceVersion: '0' } });
      return items.some(({ metadata }) => metadata.name === name);
    });
    for (const accept of ['application/json;as=Table;g=meta.k8s.io;v=v1', 'application/yaml']) {
      expect((await env.client.requestRaw({ path: path(), accept })).status, accept).to.equal(200);
    }
    const patches = [
      { metadata: { labels: { a: 'b' } } },
      { metadata: { annotations: { a: 'b' } } },
      { spec: { idleTimeout: '10m' } },
    ];
    for (const body of patches) {
      const contentType = 'application/merge-patch+json';
      const { status } = await env.client.requestRaw({ method: 'PATCH', path: `${path()}/${name}`, contentType, body });
      expect(status, JSON.stringify(body)).to.be.oneOf([200, 409, 422]);
    }
    expect((await env.client.requestRaw({ method: 'DELETE', path: `${path()}/${name}` })).status).to.equal(200);
    expect(processOf()).to.equal(pid);
  }

  for (const [what, text] of Object.entries(forged)) {
    it(`of ${what} are sessions all the same`, async () => {
      await use(await forge(text));
    });
  }

  it('of anything are sessions all the same', async function () {
    this.timeout(120_000);
    const texts = fc.sample(
      fc.oneof(
        fc.string({ maxLength: 200 }),
        fc.json({ maxDepth: 4 }),
        fc
          .dictionary(fc.constantFrom(...Object.keys(document())), fc.jsonValue())
          .map((change) => JSON.stringify(document(change))),
      ),
      { numRuns: 24, seed: 20260101 },
    );
    for (const text of texts) await use(await forge(text));
  });

  it('leave other sessions alone', async () => {
    const spec = { runtimeRef: { kind: 'CodeInterpreter', name: 'none' }, suspended: true };
    const body = { apiVersion: 'sojourn.dev/v1alpha1', kind: 'Session', metadata: { name: 'honest' }, spec };
    await forge('{');
    await env.client.request({ method: 'POST', path: path(), body });
    const { items } = await env.client.request<SessionList>({ path: path(), query: { labelSelector: '!forged' } });
    expect(items.map(({ metadata }) => metadata.name)).to.deep.equal(['honest']);
    expect(({} as { polluted?: unknown }).polluted).to.equal(undefined);
  });
});
