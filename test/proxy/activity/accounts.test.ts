import { expect } from 'chai';
import { annotations, sandboxApi } from '../../../apis/names.ts';
import { useCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';
import { Cleanup } from '../support/cleanup.ts';
import { TestSessions } from '../support/sessions.ts';
import { Replica } from './replica.ts';
import { readStored } from './stored-session.ts';

describe('activity and the guard of session data', () => {
  const env = useCluster();
  const space = env.namespace('activity');
  const cleanup = new Cleanup();
  const endpoints = [{ pathPrefix: '/', port: 8080, protocol: 'HTTP' as const }];
  const create = async (name: string, createdAt: number, idleTimeout = '20s') =>
    await new TestSessions(env.client, () => space.name).create({
      name,
      endpoints,
      createdAt,
      spec: { idleTimeout },
    });

  for (const account of ['sojourn-proxy', 'sojourn-apiserver'] as const) {
    it(`lets ${account} write activity and deadline`, async () => {
      await create(account, Date.now() - 7_000);
      const before = await readStored(env.client, space.name, account);
      const replica = cleanup.add(new Replica(env.asAccount(account)));
      await replica.call(await replica.record(space.name, account));
      const after = await until('the flush', async () => {
        const stored = await readStored(env.client, space.name, account);
        return stored?.activityAt === undefined ? undefined : stored;
      });
      expect(after.endsAt).to.be.above(before?.endsAt ?? 0);
      expect(await replica.flushes('failed')).to.equal(0);
    });
  }

  it('shows in the IDLE column, which counts from the creation before', async () => {
    await create('shown', Date.now() - 7 * 60_000, '15m0s');
    const columns = async () => (await env.kubectl(['get', 'session', 'shown', '-n', space.name])).stdout;
    expect(await columns()).to.match(/\nshown +py +\w+ +7m\d*s? +11m +7m\d*s?/);
    const replica = cleanup.add(new Replica(env.asAccount('sojourn-proxy')));
    await replica.call(await replica.record(space.name, 'shown'));
    await until('the flush', async () => (await replica.flushes('written')) === 1);
    expect(await columns()).to.match(/\nshown +py +\w+ +\d+s +18m +7m\d*s?/);
  });

  it('lets sojourn-proxy write nothing else of a Sandbox', async () => {
    await create('guarded', Date.now());
    const path = `${sandboxApi.path}/namespaces/${space.name}/${sandboxApi.resource}/guarded`;
    const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'a', uid: 'u' };
    const activity = { [annotations.activity]: '2026-11-21T06:30:00Z' };
    const refused: Record<string, object> = {
      'the session document': { metadata: { annotations: { ...activity, [annotations.session]: '{}' } } },
      'a foreign annotation': { metadata: { annotations: { ...activity, 'example.com/note': 'x' } } },
      'a label': { metadata: { labels: { 'u.sojourn.dev/app': 'x' } } },
      'the session label': { metadata: { labels: { 'sojourn.dev/session': null } } },
      'a finalizer': { metadata: { finalizers: ['sojourn.dev/orphan'] } },
      'an owner': { metadata: { ownerReferences: [owner] } },
      'the shutdown policy': { spec: { shutdownPolicy: 'Retain' } },
      'the absence of a shutdown policy': { spec: { shutdownPolicy: null } },
      'the Pod': { spec: { podTemplate: { spec: { containers: [{ name: 'main', image: 'evil' }] } } } },
      'a Service': { spec: { service: true } },
    };
    const patch = async (body: object) =>
      await env
        .asAccount('sojourn-proxy')
        .requestRaw({ method: 'PATCH', path, contentType: 'application/merge-patch+json', body });
    for (const [what, body] of Object.entries(refused)) {
      const answer = await patch(body);
      expect([what, answer.status]).to.deep.equal([what, 403]);
      expect(answer.body.toString('utf8'), what).to.contain('sojourn-proxy may write only activity');
    }
    const allowed = { metadata: { annotations: activity }, spec: { shutdownTime: '2036-11-21T06:30:00Z' } };
    expect((await patch(allowed)).status).to.equal(200);
    const created = await env.asAccount('sojourn-proxy').requestRaw({ method: 'DELETE', path });
    expect(created.status).to.equal(403);
  });
});
