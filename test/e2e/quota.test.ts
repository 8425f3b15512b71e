import { expect } from 'chai';
import { type KubeResponse, patchTypes } from '../../apis/client/transport.ts';
import type { Status } from '../../apis/machinery/meta.ts';
import { group, sandboxApi } from '../../apis/names.ts';
import { sandboxesPath, sandboxPath } from '../../apis/v1alpha1/sandbox-paths.ts';
import { countKey } from '../../apiserver/quota/session-quota.ts';
import { twinGroup } from '../../hack/twin/definition.ts';
import { useTwin } from '../apiserver/differential/support/twin.ts';
import { Pools } from '../apiserver/pools/support/pools.ts';
import { useTwoApiservers } from '../apiserver/pools/support/replicas.ts';
import { sessionsPath } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';
import { until } from '../support/until.ts';
import { heldSession, Quotas } from './support/quotas.ts';

const statusIn = ({ body }: KubeResponse) => JSON.parse(body.toString('utf8')) as Status;

const twinKey = `count/sessions.${twinGroup}`;

describe(`quotas on ${countKey}`, function () {
  this.timeout(200_000);
  const env = useCluster();
  useTwin(env);
  const first = env.namespace('quota');
  let space = { name: '' };
  const quotas = new Quotas(env, () => space.name);
  const replicas = useTwoApiservers(env);

  before(async () => {
    await new Quotas(env, () => first.name).counting('ten', [countKey, twinKey]);
  });
  // kube-controller-manager counts anew, a while later, what was deleted: not in the next test's namespace.
  beforeEach(async () => {
    space = await env.createNamespace('quota');
  });
  afterEach(async () => {
    await env.client.request({ method: 'DELETE', path: `/api/v1/namespaces/${space.name}` });
  });

  it('give exactly 10 of 20 parallel creates through two API servers', async () => {
    await quotas.limit('ten', { [countKey]: '10' }, replicas.both);
    await quotas.counted('ten', '0');
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => {
        const [a, b] = replicas.both;
        const { client, headers } = index % 2 === 0 ? a : b;
        const body = heldSession({ name: `s${index}` });
        return client.requestRaw({ method: 'POST', path: sessionsPath(space.name), headers, body });
      }),
    );
    const refused = answers.filter(({ status }) => status !== 201);
    expect(refused.map(({ status }) => status)).to.deep.equal(Array.from({ length: 10 }, () => 403));
    for (const { message } of refused.map(statusIn)) {
      const quota = `exceeded quota: ten, requested: ${countKey}=1, used: ${countKey}=10, limited: ${countKey}=10`;
      expect(message).to.match(new RegExp(`^sessions\\.sojourn\\.dev "s\\d+" is forbidden: ${quota}$`));
    }
    expect(await quotas.used('ten')).to.equal('10');
  });

  it('are given back when sessions are deleted', async () => {
    await quotas.limit('ten', { [countKey]: '1' });
    await quotas.counted('ten', '0');
    expect((await quotas.create({ name: 'first' })).status).to.equal(201);
    expect((await quotas.create({ name: 'second' })).status).to.equal(403);
    await quotas.deleteAll();
    await until('another session to be allowed', async () => (await quotas.create({ name: 'second' })).status === 201);
  });

  it('are answered as for a custom resource', async () => {
    await quotas.limit('ten', { [countKey]: '0', [twinKey]: '0' });
    await quotas.counted('ten', '0');
    const refusals = await Promise.all(
      [group, twinGroup].map(async (one) => {
        const path = `/apis/${one}/v1alpha1/namespaces/${space.name}/sessions`;
        const body = { ...heldSession({ name: 'one' }), apiVersion: `${one}/v1alpha1` };
        const request = { method: 'POST', path, body } as const;
        const tried = { ...request, query: { dryRun: 'All' } };
        await until('the quota to be known', async () => (await env.client.requestRaw(tried)).status === 403);
        const answer = await env.client.requestRaw(request);
        return answer.body.toString('utf8').replaceAll(one, 'GROUP');
      }),
    );
    expect(refusals[0]).to.contain('exceeded quota');
    expect(JSON.parse(refusals[0] ?? '')).to.deep.equal(JSON.parse(refusals[1] ?? ''));
  });

  it('are looked at but not charged by dry runs, nor by what is invalid', async () => {
    await quotas.limit('ten', { [countKey]: '1' });
    await quotas.counted('ten', '0');
    expect((await quotas.create({ name: 'tried' }, { dryRun: 'All' })).status).to.equal(201);
    expect((await quotas.create({ name: 'Not Valid' })).status).to.equal(422);
    expect(await quotas.used('ten')).to.equal('0');
    expect((await quotas.create({ generateName: 'real-' })).status).to.equal(201);
    expect(await quotas.used('ten')).to.equal('1');
    const tried = await quotas.create({ generateName: 'tried-' }, { dryRun: 'All' });
    expect(tried.status).to.equal(403);
    expect(statusIn(tried).message).to.contain('sessions.sojourn.dev "tried-" is forbidden: exceeded quota: ten');
  });

  it('all count, and the one that is exceeded is named', async () => {
    await quotas.limit('ten', { [countKey]: '5' });
    await quotas.limit('two', { [countKey]: '2', pods: '100' });
    await quotas.counted('ten', '0');
    await quotas.counted('two', '0');
    const answers = await Promise.all(['a', 'b', 'c'].map((name) => quotas.create({ name })));
    expect(answers.map(({ status }) => status).sort()).to.deep.equal([201, 201, 403]);
    const refused = answers.find(({ status }) => status === 403) as KubeResponse;
    expect(statusIn(refused).message).to.contain(`exceeded quota: two, requested: ${countKey}=1, used: ${countKey}=2`);
    expect(await quotas.used('ten')).to.equal('2');
    expect((await quotas.read('two')).status?.used?.pods).to.equal('0');
    await quotas.lift('two');
    await until(
      'the lifted quota to be forgotten',
      async () => (await quotas.create({ generateName: 'd-' })).status === 201,
    );
  });

  it('are charged for a session that an apply creates', async () => {
    await quotas.limit('ten', { [countKey]: '1' });
    await quotas.counted('ten', '0');
    const apply = async (name: string) =>
      await env.client.requestRaw({
        method: 'PATCH',
        path: `${sessionsPath(space.name)}/${name}`,
        query: { fieldManager: 'test' },
        contentType: 'application/apply-patch+yaml',
        body: heldSession({ name }),
      });
    expect((await apply('applied')).status).to.equal(201);
    expect((await apply('applied')).status, 'of what is there already').to.equal(200);
    expect(await quotas.used('ten')).to.equal('1');
    const refused = await apply('another');
    expect(refused.status).to.equal(403);
    expect(statusIn(refused).message).to.contain('sessions.sojourn.dev "another" is forbidden: exceeded quota: ten');
  });

  it('are charged once for an apply of a name that a Sandbox has which is no session', async () => {
    await quotas.limit('ten', { [countKey]: '9' });
    await quotas.counted('ten', '0');
    const spec = {
      podTemplate: { spec: { containers: [{ name: 'c', image: 'local/none' }] } },
      operatingMode: 'Suspended',
    };
    await env.client.request({
      method: 'POST',
      path: sandboxesPath(space.name),
      body: {
        apiVersion: sandboxApi.path.slice('/apis/'.length),
        kind: sandboxApi.kind,
        metadata: { name: 'foreign' },
        spec,
      },
    });
    const answer = await env.client.requestRaw({
      method: 'PATCH',
      path: `${sessionsPath(space.name)}/foreign`,
      query: { fieldManager: 'tester' },
      contentType: patchTypes.apply,
      body: heldSession({ name: 'foreign' }),
    });
    expect(answer.status).to.equal(409);
    expect(statusIn(answer).message).to.contain('a Sandbox of that name exists that is no session');
    // It may have been found by now that nothing came of it.
    expect(await quotas.used('ten')).to.be.oneOf(['0', '1']);
    await env.client.request({ method: 'DELETE', path: sandboxPath(space.name, 'foreign') });
  });

  it('on Sandboxes keep their own name', async () => {
    const sandboxKey = 'count/sandboxes.agents.x-k8s.io';
    await quotas.limit('none', { [sandboxKey]: '0' });
    try {
      // Tried only: what kube-apiserver refuses after it was charged stays charged until sessions are counted again.
      const refused = await until('kube-apiserver to know the quota', async () => {
        const answer = await quotas.create({ name: 'one' }, { dryRun: 'All' });
        return answer.status === 201 ? undefined : answer;
      });
      expect(refused.status).to.equal(403);
      expect(statusIn(refused).message).to.equal(
        `sessions.sojourn.dev "one" is forbidden: exceeded quota: none, requested: ${sandboxKey}=1, used: ${sandboxKey}=0, limited: ${sandboxKey}=0`,
      );
    } finally {
      await quotas.lift('none');
    }
  });

  it('are charged for a warm start', async () => {
    await quotas.limit('ten', { [countKey]: '1' });
    await quotas.counted('ten', '0');
    const pools = Pools.of(env, space);
    await pools.createRuntime({ name: 'warm', size: 2 });
    await pools.warm('warm', 2);
    const session = await pools.create('warm');
    expect(session.status?.start).to.equal('Warm');
    expect(await quotas.used('ten')).to.equal('1');
    const refused = await pools.post('warm');
    expect(refused.status).to.equal(403);
    expect(statusIn(refused).message).to.contain('sessions.sojourn.dev "warm-" is forbidden: exceeded quota: ten');
  });
});
