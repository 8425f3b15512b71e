import { expect } from 'chai';
import { ApiError } from '../../apis/machinery/errors.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { SessionList } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';
import { until } from '../support/until.ts';

describe('when the API server is killed', () => {
  const env = useCluster();
  const space = env.namespace('restarts');
  const path = () => `/apis/sojourn.dev/v1alpha1/namespaces/${space.name}/sessions`;

  it('every session that was acknowledged is there afterwards, and no other', async () => {
    const acknowledged: string[] = [];
    const unknown: string[] = [];
    let stop = false;
    const creator = async (worker: number) => {
      for (let index = 0; !stop; index += 1) {
        const name = `s-${worker}-${index}`;
        const body = {
          apiVersion: 'sojourn.dev/v1alpha1',
          kind: 'Session',
          metadata: { name },
          spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'none' } },
        };
        try {
          const session = await env.client.request<Session>({ method: 'POST', path: path(), body });
          acknowledged.push(session.metadata.name ?? '');
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          unknown.push(name);
        }
      }
    };
    const creators = [creator(0), creator(1), creator(2)];
    for (let kill = 1; kill <= 3; kill += 1) {
      const before = acknowledged.length;
      await until('some creates', () => acknowledged.length > before + 10);
      await env.kill('sojourn-apiserver');
      await env.cluster.sojourn.startApiserver();
      const seen = acknowledged.length;
      await until('creates to go on', () => acknowledged.length > seen, { deadlineMs: 40_000 });
    }
    stop = true;
    await Promise.all(creators);
    const list = await env.client.request<SessionList>({ path: path() });
    const there = new Set(list.items.map(({ metadata }) => metadata.name ?? ''));
    expect(acknowledged.filter((name) => !there.has(name))).to.deep.equal([]);
    const expected = new Set([...acknowledged, ...unknown]);
    expect([...there].filter((name) => !expected.has(name))).to.deep.equal([]);
  }).timeout(150_000);
});
