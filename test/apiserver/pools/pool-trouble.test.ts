import { expect } from 'chai';
import { findCondition, type KubeObject } from '../../../apis/machinery/meta.ts';
import { useCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';
import { Pools } from './support/pools.ts';

describe('a pool whose members cannot run', () => {
  const env = useCluster();
  const space = env.namespace('trouble');
  const pools = Pools.of(env, space);

  const troubledStatus = async (runtime: string, of = pools) =>
    await until(
      `the pool of ${runtime} to be in trouble`,
      async () => {
        const status = await of.status(runtime);
        return findCondition(status.conditions, 'WarmPoolReady')?.status === 'False' ? status : undefined;
      },
      // A pool is looked at every few seconds, and told of when it has settled.
      { deadlineMs: 60_000 },
    );

  it('leaves sessions to start cold, and says why in the status and Events of the runtime', async function () {
    this.timeout(240_000);
    await pools.createRuntime({ name: 'f', size: 1, image: 'registry.example/nosuch:1' });
    await until('a member', async () =>
      (await pools.sandboxes()).some(({ metadata }) => metadata.name?.startsWith('f-')),
    );
    expect((await pools.create('f')).status?.start).to.equal('Cold');
    const status = await troubledStatus('f');
    expect(status.warmPool).to.include({ desired: 1, ready: 0 });
    const condition = findCondition(status.conditions, 'WarmPoolReady');
    expect(condition?.reason).to.be.oneOf(['ErrImagePull', 'ImagePullBackOff']);
    expect(condition?.message).to.contain('registry.example/nosuch:1');
    expect(findCondition(status.conditions, 'Ready'), 'sessions can be created').to.include({ status: 'True' });
    const told = `${condition?.reason}: ${condition?.message}`;
    await until('the Event', async () =>
      (await pools.events('f')).some(({ reason, message }) => reason === 'WarmPoolNotReady' && message === told),
    );
    await pools.patchRuntime('f', { spec: { template: { image: 'local/none' } } });
    const full = ['--for=condition=WarmPoolReady', 'codeinterpreter/f', '--timeout=60s'];
    const waited = await env.kubectl(['wait', '-n', space.name, ...full]);
    expect(waited.code, waited.stderr).to.equal(0);
  });

  it('says in the status of the runtime that no node takes its members, and stays so until it is full', async function () {
    this.timeout(90_000);
    const template = { resources: { requests: { cpu: '100k' } } };
    await pools.createRuntime({ name: 'huge', size: 1, authMode: 'none', template });
    const { conditions } = await troubledStatus('huge');
    const condition = findCondition(conditions, 'WarmPoolReady');
    expect(condition?.reason).to.equal('Unschedulable');
    expect(condition?.message).to.match(/Insufficient cpu/);
  });

  it('says in the status of the runtime that a quota keeps it from being full, and that it is full in the end', async function () {
    this.timeout(240_000);
    const narrow = await env.createNamespace('quota');
    const small = Pools.of(env, narrow);
    const path = `/api/v1/namespaces/${narrow.name}/resourcequotas`;
    const body = { metadata: { name: 'pods' }, spec: { hard: { 'count/pods': '1' } } };
    await env.client.request({ method: 'POST', path, body });
    await until('the quota to count', async () => {
      const quota = await env.client.request<KubeObject & { status?: { used?: object } }>({ path: `${path}/pods` });
      return quota.status?.used;
    });
    await small.createRuntime({ name: 'q', size: 2 });
    const condition = findCondition((await troubledStatus('q', small)).conditions, 'WarmPoolReady');
    expect(condition?.message).to.contain('exceeded quota: pods');
    await env.client.request({ method: 'DELETE', path: `${path}/pods` });
    await until(
      'the pool to be full',
      async () => {
        const seen = findCondition((await small.status('q')).conditions, 'WarmPoolReady');
        return seen?.status === 'True';
      },
      // The controller tries again with growing pauses.
      { deadlineMs: 120_000 },
    );
    await env.client.request({ method: 'DELETE', path: `/api/v1/namespaces/${narrow.name}` });
  });
});
