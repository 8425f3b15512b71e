import { expect } from 'chai';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { type SessionList, sessionsPath } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';
import { type DirectApiserver, useTwoApiservers } from './pools/support/replicas.ts';

/** In all; several sessions are written at once, each by one after the other. */
const writes = 1000;
const writers = 8;

describe('a read at no resourceVersion', () => {
  const env = useCluster();
  const space = env.namespace('freshness');
  const servers = useTwoApiservers(env);

  it(`is never stale: ${writes} writes through one replica are read through the other`, async () => {
    const [a, b] = servers.both;
    const path = sessionsPath(space.name);
    const stale: string[] = [];
    const write = async (name: string): Promise<void> => {
      const spec = { runtimeRef: { kind: 'CodeInterpreter', name: 'none' }, suspended: true };
      const body = { apiVersion: 'sojourn.dev/v1alpha1', kind: 'Session', metadata: { name }, spec };
      await a.client.request({ method: 'POST', path, body, headers: a.headers });
      for (let turn = 0; turn < writes / writers; turn += 1) {
        const note = String(turn);
        const patch = { metadata: { annotations: { note } } };
        const written = await a.client.request<Session>({
          method: 'PATCH',
          path: `${path}/${name}`,
          body: patch,
          contentType: 'application/merge-patch+json',
          headers: a.headers,
        });
        const seen = turn % 4 === 0 ? await listed(b, path, name) : await got(b, path, name);
        const isOlder = BigInt(seen.metadata.resourceVersion ?? '0') < BigInt(written.metadata.resourceVersion ?? '0');
        if (isOlder || seen.metadata.annotations?.note !== note) stale.push(`${name} ${turn}`);
      }
    };
    await Promise.all(Array.from({ length: writers }, (_, index) => write(`w${index}`)));
    expect(stale).to.deep.equal([]);
  }).timeout(180_000);
});

async function got({ client, headers }: DirectApiserver, path: string, name: string): Promise<Session> {
  return await client.request<Session>({ path: `${path}/${name}`, headers });
}

async function listed({ client, headers }: DirectApiserver, path: string, name: string): Promise<Session> {
  const query = { fieldSelector: `metadata.name=${name}` };
  const { items } = await client.request<SessionList>({ path, query, headers });
  const [session] = items;
  if (session === undefined) throw new Error(`${name} is not listed`);
  return session;
}
