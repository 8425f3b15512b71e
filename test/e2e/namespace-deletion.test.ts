import { expect } from 'chai';
import { hasReason } from '../../apis/machinery/errors.ts';
import type { KubeObject } from '../../apis/machinery/meta.ts';
import { groupVersion, kind } from '../../apis/names.ts';
import { sessionsPath } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';
import { until } from '../support/until.ts';
import { Collected, hold } from './support/collected.ts';

const many = 200;
const parallel = 10;

interface Namespace extends KubeObject {
  status?: { phase?: string; conditions?: { type: string; status: string; message: string }[] };
}

describe('the deletion of a namespace', function () {
  this.timeout(400_000);
  const env = useCluster();

  const read = async (name: string): Promise<Namespace | undefined> => {
    try {
      return await env.client.request<Namespace>({ path: `/api/v1/namespaces/${name}` });
    } catch (error) {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    }
  };
  const remove = async (name: string) =>
    await env.client.request({ method: 'DELETE', path: `/api/v1/namespaces/${name}` });
  const gone = async (name: string, deadlineMs: number) => {
    let seen: Namespace | undefined;
    const isGone = async () => {
      seen = await read(name);
      return seen === undefined;
    };
    await until(`namespace ${name} to be gone`, isGone, { deadlineMs, seen: () => seen?.status });
  };

  it(`takes ${many} sessions with it`, async () => {
    const { name } = await env.createNamespace('crowded');
    const names = Array.from({ length: many }, (_, index) => `s${index}`).values();
    const create = async () => {
      for (const session of names) {
        const body = {
          apiVersion: groupVersion,
          kind,
          metadata: { name: session },
          spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'none' } },
        };
        await env.client.request({ method: 'POST', path: sessionsPath(name), body });
      }
    };
    await Promise.all(Array.from({ length: parallel }, create));
    await remove(name);
    await gone(name, 240_000);
  });

  it('waits for a session that a finalizer holds, and says so', async () => {
    const { name } = await env.createNamespace('held');
    const objects = new Collected(env, () => name);
    await objects.createSession('free', {}, { suspended: true });
    await objects.createSession('held', { finalizers: [hold] }, { suspended: true });
    await remove(name);
    await objects.gone(objects.session('free'));
    await until('the namespace to say what it waits for', async () => {
      const conditions = (await read(name))?.status?.conditions ?? [];
      const messages = conditions.filter(({ status }) => status === 'True').map(({ message }) => message);
      return messages.some((message) => message.includes('sessions.sojourn.dev has 1 resource instances'));
    });
    await objects.release(objects.session('held'));
    await gone(name, 90_000);
  });

  it('completes after an outage of the API server', async () => {
    const { name } = await env.createNamespace('outage');
    const objects = new Collected(env, () => name);
    await objects.createSession('one', {}, { suspended: true });
    await objects.createSession('two');
    await env.kill('sojourn-apiserver');
    try {
      await remove(name);
      let conditions: { status: string; message: string }[] = [];
      // What it could not look at it tries again less and less often, and says so when it has tried.
      await until(
        'the namespace to say that something is missing',
        async () => {
          conditions = (await read(name))?.status?.conditions ?? [];
          return conditions.some(({ status, message }) => status === 'True' && message.includes('sojourn.dev'));
        },
        { deadlineMs: 120_000, seen: () => conditions },
      );
      expect((await read(name))?.status?.phase).to.equal('Terminating');
    } finally {
      await env.cluster.sojourn.startApiserver();
    }
    await gone(name, 240_000);
  });
});
