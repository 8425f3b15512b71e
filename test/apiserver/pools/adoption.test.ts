import { expect } from 'chai';
import type { KubeResponse } from '../../../apis/client/transport.ts';
import { findCondition, type KubeObject } from '../../../apis/machinery/meta.ts';
import { poolApi } from '../../../apis/names.ts';
import type { SandboxWarmPool } from '../../../apis/v1alpha1/pool-template.ts';
import type { Sandbox } from '../../../apis/v1alpha1/sandbox.ts';
import { useCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';
import { Pools } from './support/pools.ts';

const size = 4;

/** What warm starts rely on, of the controller that hack/kube pins: by patches of the test's own, not through Sojourn. */
describe('a pool member of the agent-sandbox controller', () => {
  const env = useCluster();
  const space = env.namespace('adoption');
  const pools = Pools.of(env, space);
  let pool: SandboxWarmPool;

  before(async function () {
    this.timeout(120_000);
    const meta = { namespace: space.name };
    const template = {
      apiVersion: poolApi.groupVersion,
      kind: 'SandboxTemplate',
      metadata: { ...meta, name: 'plain' },
      spec: {
        networkPolicyManagement: 'Unmanaged',
        podTemplate: {
          metadata: { labels: { 'x.io/ours': 'yes' } },
          spec: { containers: [{ name: 'a', image: 'local/none' }] },
        },
      },
    };
    const path = `${poolApi.path}/namespaces/${space.name}`;
    await env.client.request({ method: 'POST', path: `${path}/sandboxtemplates`, body: template });
    pool = await env.client.request<SandboxWarmPool>({
      method: 'POST',
      path: `${path}/sandboxwarmpools`,
      body: {
        apiVersion: poolApi.groupVersion,
        kind: 'SandboxWarmPool',
        metadata: { ...meta, name: 'plain' },
        spec: { replicas: size, sandboxTemplateRef: { name: 'plain' } },
      },
    });
    await full();
  });

  const full = async () =>
    await until('the pool to be full', async () => {
      const members = await pools.readyMembers(pool);
      return members.length === size ? members : undefined;
    });
  const aMember = async (): Promise<Sandbox> => (await full())[0] as Sandbox;
  const read = async (name = '') => await env.client.request<Sandbox>({ path: pools.sandboxPath(name) });
  const pod = async (name = '') =>
    await env.client.request<KubeObject & { status: { podIP: string } }>({
      path: `/api/v1/namespaces/${space.name}/pods/${name}`,
    });
  const patch = async (name: string, body: object): Promise<KubeResponse> =>
    await env.client.requestRaw({
      method: 'PATCH',
      path: pools.sandboxPath(name),
      contentType: 'application/merge-patch+json',
      body,
    });
  const adopt = async (
    { metadata: { name = '', uid, resourceVersion } }: Sandbox,
    fences: { uid?: string; resourceVersion?: string } = {},
  ): Promise<KubeResponse> =>
    await patch(name, {
      metadata: {
        ...{ uid, resourceVersion, ...fences },
        ownerReferences: null,
        labels: { [poolApi.memberLabel]: null },
        annotations: { 'x.io/adopted': 'yes' },
      },
      spec: { shutdownTime: '2099-01-01T00:00:00Z', shutdownPolicy: 'Delete' },
    });

  it('is named after its pool, owned by it, labelled and Ready', async () => {
    const { metadata, status } = await aMember();
    expect(metadata.name).to.match(/^plain-[a-z0-9]{5}$/);
    expect(metadata.ownerReferences?.map(({ kind, uid, controller }) => ({ kind, uid, controller }))).to.deep.equal([
      { kind: 'SandboxWarmPool', uid: pool.metadata.uid, controller: true },
    ]);
    expect(status?.podIPs).to.have.length(1);
  });

  it('is adopted by one merge patch: same Pod, same address, still Ready, and the pool fills up again', async () => {
    const member = await aMember();
    const name = member.metadata.name ?? '';
    const before = await pod(name);
    expect((await adopt(member)).status).to.equal(200);
    await full();
    const [after, afterPod] = [await read(name), await pod(name)];
    expect(after.metadata.ownerReferences).to.equal(undefined);
    expect(after.metadata.annotations).to.include({ 'x.io/adopted': 'yes' });
    expect(findCondition(after.status?.conditions, 'Ready')?.status).to.equal('True');
    expect([afterPod.metadata.uid, afterPod.status.podIP]).to.deep.equal([before.metadata.uid, before.status.podIP]);
    await until('the Pod to leave the pool and its template', async () => {
      const labels = (await pod(name)).metadata.labels ?? {};
      return (
        labels[poolApi.memberLabel] === undefined && labels['agents.x-k8s.io/sandbox-template-ref-hash'] === undefined
      );
    });
    expect((await pod(name)).metadata.labels, 'of the podTemplate').to.include({ 'x.io/ours': 'yes' });
  });

  it('is given to one of many at once: 409 for a stale resourceVersion, 422 for a wrong uid', async () => {
    const member = await aMember();
    const wrong = await adopt(member, { uid: '00000000-0000-0000-0000-000000000000' });
    expect([wrong.status, wrong.body.toString()]).to.satisfy(
      ([status, text]: [number, string]) => status === 422 && text.includes('"field":"metadata.uid"'),
    );
    const answers = await Promise.all(Array.from({ length: 12 }, () => adopt(member)));
    const codes = answers.map(({ status }) => status).sort();
    expect(codes).to.deep.equal([200, ...Array<number>(11).fill(409)]);
  });

  it('goes back to the pool without its owner, and stays its own without its label', async () => {
    const [first, second] = (await full()) as [Sandbox, Sandbox];
    await patch(first.metadata.name ?? '', { metadata: { ownerReferences: null } });
    await until('the pool to own it again', async () => {
      const { metadata } = await read(first.metadata.name);
      return metadata.ownerReferences?.some(({ uid }) => uid === pool.metadata.uid);
    });
    await patch(second.metadata.name ?? '', { metadata: { labels: { [poolApi.memberLabel]: null } } });
    await full();
    const { metadata } = await read(second.metadata.name);
    expect(metadata.ownerReferences?.map(({ uid }) => uid)).to.deep.equal([pool.metadata.uid]);
  });

  it('survives the deletion of its pool in the same moment, or is not adopted', async () => {
    const members = await full();
    const path = pools.poolPath('plain');
    const [answers] = await Promise.all([
      Promise.all(members.map((member) => adopt(member))),
      env.client.request({ method: 'DELETE', path, body: { propagationPolicy: 'Background' } }),
    ]);
    await until('the members of the pool to go', async () => (await pools.readyMembers(pool)).length === 0, {
      // The garbage collector learns of a resource within half a minute.
      deadlineMs: 90_000,
    });
    for (const [index, { status }] of answers.entries()) {
      const name = members[index]?.metadata.name ?? '';
      const there = (await env.client.requestRaw({ path: pools.sandboxPath(name) })).status;
      if (status === 200) expect(there, `${name}, adopted`).to.equal(200);
    }
    expect(answers.some(({ status }) => status === 200)).to.equal(true);
  }).timeout(180_000);
});
