import { expect } from 'chai';
import { findCondition } from '../../../apis/machinery/meta.ts';
import { readPoolRecord } from '../../../apis/v1alpha1/pool-record.ts';
import type { Session } from '../../../apis/v1alpha1/types.ts';
import { createRuntime } from '../../../hack/cluster/runtimes.ts';
import { useCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';
import { Pools } from './support/pools.ts';

/** The garbage collector learns of a resource within half a minute. */
const collectorMs = 90_000;

describe('the pool of a runtime', () => {
  const env = useCluster();
  const space = env.namespace('keeper');
  const pools = Pools.of(env, space);

  const names = async (runtime: string) => (await pools.pools(runtime)).map(({ metadata }) => metadata.name ?? '');
  const phaseOf = async (name = '') => {
    const answer = await env.client.requestRaw({ path: `${pools.sessionsPath}/${name}` });
    return answer.status === 200
      ? (JSON.parse(answer.body.toString()) as { status: { phase: string } }).status.phase
      : answer.status;
  };

  it('is made with its template and told of in the status and Events of the runtime', async function () {
    this.timeout(180_000);
    const runtime = await pools.createRuntime({ name: 'a', size: 2 });
    const pool = await pools.full('a', 2);
    const name = pool.metadata.name ?? '';
    expect(name).to.match(/^a-[0-9a-f]{10}$/);
    expect(pool.spec).to.deep.include({ replicas: 2, sandboxTemplateRef: { name } });
    expect(readPoolRecord(pool)?.runtime).to.deep.equal({ uid: runtime.metadata.uid, generation: 1 });
    const template = await pools.template(name);
    expect(template.spec.networkPolicyManagement).to.equal('Unmanaged');
    expect(template.metadata.ownerReferences?.[0]?.uid).to.equal(pool.metadata.uid);
    const status = await until('the status to have the numbers', async () => {
      const seen = await pools.status('a');
      return seen.warmPool?.ready === 2 ? seen : undefined;
    });
    expect(status).to.deep.include({
      ready: true,
      observedGeneration: 1,
      warmPool: { name, templateName: name, desired: 2, ready: 2 },
    });
    expect(findCondition(status.conditions, 'Ready')).to.include({ status: 'True', reason: 'RuntimeReady' });
    expect(findCondition(status.conditions, 'WarmPoolReady')).to.include({ status: 'True', reason: 'PoolFull' });
    const waited = await env.kubectl([
      'wait',
      '-n',
      space.name,
      '--for=condition=Ready',
      'codeinterpreter/a',
      '--timeout=30s',
    ]);
    expect(waited.code, waited.stderr).to.equal(0);
    const table = await env.kubectl(['get', 'codeinterpreter', 'a', '-n', space.name]);
    expect(table.stdout).to.match(/^NAME +READY +WARM +POOL +AGE *\na +True +2 +2 +/);
    const [event, ...others] = await pools.events('a');
    expect([event?.reason, event?.message, others.length]).to.deep.equal([
      'PoolCreated',
      `created warm pool ${name} of 2`,
      0,
    ]);
  });

  it('is not made of a runtime without a size, which is Ready all the same', async () => {
    const status = await until('the status of "none"', async () => {
      const seen = await pools.status('none');
      return seen.observedGeneration === undefined ? undefined : seen;
    });
    expect(status.ready).to.equal(true);
    expect(status.warmPool ?? null).to.equal(null);
    expect(await names('none')).to.deep.equal([]);
  });

  it('is no matter for an AgentRuntime, which is told Ready or what is wrong with it', async function () {
    this.timeout(120_000);
    const podTemplate = { spec: { containers: [{ name: 'a', image: 'local/none' }] } };
    const agent = { kind: 'AgentRuntime' as const, spec: { targetPort: [{ port: 8080 }], podTemplate } };
    const bad = { annotations: { 'sojourn.dev/workspace': '-1' } };
    await createRuntime(env.client, space.name, { ...agent, name: 'good' });
    await createRuntime(env.client, space.name, { ...agent, name: 'bad', metadata: bad });
    const wait = async (condition: string, name: string) =>
      await env.kubectl([
        'wait',
        '-n',
        space.name,
        `--for=condition=${condition}`,
        `agentruntime/${name}`,
        '--timeout=30s',
      ]);
    for (const [condition, name] of [
      ['Ready', 'good'],
      ['Ready=False', 'bad'],
    ] as const) {
      const { code, stderr } = await wait(condition, name);
      expect(code, stderr).to.equal(0);
    }
  });

  it('stays and grows in place when only the size grew, and stays for a change that sandboxes do not show', async function () {
    this.timeout(180_000);
    await pools.createRuntime({ name: 'b', size: 1 });
    const pool = await pools.full('b', 1);
    const [member] = await pools.readyMembers(pool);
    await pools.patchRuntime('b', { spec: { warmPoolSize: 3 } });
    const grown = await pools.full('b', 3);
    expect(grown.metadata.uid).to.equal(pool.metadata.uid);
    expect(readPoolRecord(grown)).to.deep.include({ size: 3 });
    expect((await pools.readyMembers(grown)).map(({ metadata }) => metadata.uid)).to.include(member?.metadata.uid);
    await pools.patchRuntime('b', { spec: { sessionTimeout: '20m' } });
    await until('the pool to be of the new generation', async () => {
      const [only] = await pools.pools('b');
      return only !== undefined && readPoolRecord(only)?.runtime.generation === 3;
    });
    expect((await pools.full('b', 3)).metadata.uid).to.equal(pool.metadata.uid);
    await pools.toldOf('b', ['PoolCreated', 'PoolResized']);
  });

  it('is replaced when the runtime changed, and no session is lost', async function () {
    this.timeout(300_000);
    await pools.createRuntime({ name: 'c', size: 2 });
    const old = await pools.warm('c', 2);
    const before = await pools.create('c');
    expect(before.status?.start).to.equal('Warm');
    await pools.patchRuntime('c', { spec: { template: { environment: [{ name: 'NEW', value: 'yes' }] } } });
    const isNew = async ({ metadata: { name } }: Session) => {
      const sandbox = (await pools.sandboxes()).find(({ metadata }) => metadata.name === name);
      return sandbox?.spec?.podTemplate?.spec.containers?.[0]?.env?.some(({ name: variable }) => variable === 'NEW');
    };
    // Whatever is there in the moment in which the API server hears of the change, nobody gets a sandbox of the old
    // kind from then on.
    await until('the new runtime to be known', async () => await isNew(await pools.create('c')));
    const during = await pools.create('c');
    expect(await isNew(during)).to.equal(true);
    const replaced = await pools.warm('c', 2);
    expect(replaced.metadata.uid).not.to.equal(old.metadata.uid);
    await until('the old members to go', async () => (await pools.readyMembers(old)).length === 0, {
      deadlineMs: collectorMs,
    });
    expect(await phaseOf(before.metadata.name)).to.equal('Ready');
    await until(
      'the session made meanwhile to be Ready',
      async () => (await phaseOf(during.metadata.name)) === 'Ready',
    );
    expect((await pools.create('c')).metadata.name).to.match(new RegExp(`^${replaced.metadata.name}-`));
    await pools.toldOf('c', ['PoolCreated', 'PoolCreated', 'PoolReplaced']);
  });

  it('shrinks by replacement', async function () {
    this.timeout(180_000);
    await pools.createRuntime({ name: 'd', size: 2 });
    const old = await pools.full('d', 2);
    await pools.patchRuntime('d', { spec: { warmPoolSize: 1 } });
    expect((await pools.full('d', 1)).metadata.uid).not.to.equal(old.metadata.uid);
    await pools.patchRuntime('d', { spec: { warmPoolSize: 0 } });
    await until('the pool to go', async () => (await names('d')).length === 0);
    await until('the status to say so', async () => {
      const { warmPool, observedGeneration } = await pools.status('d');
      return warmPool === undefined && observedGeneration === 3;
    });
    expect((await pools.create('d')).status?.start).to.equal('Cold');
  });

  it('goes with the runtime, and its sessions live on', async function () {
    this.timeout(180_000);
    await pools.createRuntime({ name: 'e', size: 1 });
    const pool = await pools.warm('e', 1);
    const session = await pools.create('e');
    expect(session.status?.start).to.equal('Warm');
    await pools.deleteRuntime('e');
    await until(
      'pool and members to go',
      async () => {
        const left = await env.client.requestRaw({ path: pools.poolPath(pool.metadata.name) });
        return left.status === 404 && (await pools.readyMembers(pool)).length === 0;
      },
      { deadlineMs: collectorMs },
    );
    const deleted = await until('the Event', async () =>
      (await pools.events('e')).find(({ reason }) => reason === 'PoolDeleted'),
    );
    expect(deleted.message).to.equal(`deleted warm pool ${pool.metadata.name} with its runtime`);
    expect(await phaseOf(session.metadata.name)).to.equal('Ready');
    // The runtime comes from a watch of its own.
    await until('the runtime to be known to be gone', async () => (await pools.post('e')).status === 404);
  });

  it('is repaired when somebody deletes it or its template', async function () {
    this.timeout(180_000);
    await pools.createRuntime({ name: 'r', size: 1 });
    const first = await pools.full('r', 1);
    const name = first.metadata.name ?? '';
    const template = await pools.template(name);
    const collection = pools.poolPath().replace('sandboxwarmpools', 'sandboxtemplates');
    await env.client.request({ method: 'DELETE', path: `${collection}/${name}` });
    await until('another template', async () => {
      const seen = await pools.template(name).catch(() => undefined);
      return seen !== undefined && seen.metadata.uid !== template.metadata.uid;
    });
    expect((await pools.warm('r', 1)).metadata.uid).to.equal(first.metadata.uid);
    await env.client.request({ method: 'DELETE', path: pools.poolPath(name) });
    await until('another pool', async () => {
      const [pool] = await pools.pools('r');
      return pool !== undefined && pool.metadata.uid !== first.metadata.uid;
    });
    await pools.full('r', 1);
  });

  it('gives every sandbox a volume of the size that the runtime’s annotation asks for, or says what is wrong with it', async function () {
    this.timeout(180_000);
    await pools.createRuntime({ name: 'g', size: 1, annotations: { 'sojourn.dev/workspace': '1Gi' } });
    const first = await until('the pool', async () => (await pools.pools('g'))[0]);
    const claims = async (name = '') =>
      (await pools.template(name)).spec.volumeClaimTemplates?.map(({ spec }) => spec.resources);
    await until('its template', async () => (await claims(first.metadata.name).catch(() => undefined)) !== undefined);
    expect(await claims(first.metadata.name)).to.deep.equal([{ requests: { storage: '1Gi' } }]);
    const cold = await pools.create('g', { metadata: { name: 'g-cold' } });
    const sandbox = (await pools.sandboxes()).find(({ metadata }) => metadata.name === cold.metadata.name);
    expect(sandbox?.spec?.volumeClaimTemplates?.[0]?.spec.resources.requests.storage).to.equal('1Gi');
    // An annotation changes no generation: the pool is another one all the same.
    await pools.patchRuntime('g', { metadata: { annotations: { 'sojourn.dev/workspace': '2Gi' } } });
    const second = await until('another pool', async () =>
      (await pools.pools('g')).find(({ metadata }) => metadata.uid !== first.metadata.uid),
    );
    expect(readPoolRecord(second)?.runtime.generation).to.equal(1);
    await pools.patchRuntime('g', { metadata: { annotations: { 'sojourn.dev/workspace': 'big' } } });
    await until('the status to say so', async () => {
      const condition = findCondition((await pools.status('g')).conditions, 'Ready');
      return condition?.status === 'False' && condition.reason === 'InvalidRuntime';
    });
    const answer = await pools.post('g');
    expect([answer.status, answer.body.toString()]).to.satisfy(
      ([status, text]: [number, string]) =>
        status === 422 &&
        /annotation sojourn.dev\/workspace \\"big\\" is not a size such as 1Gi/.test(text.replaceAll('\\\\\\', '\\')),
    );
    await until('the pools to go', async () => (await names('g')).length === 0);
    await until('the Event', async () => (await pools.events('g')).some(({ reason }) => reason === 'InvalidRuntime'));
  });

  it('starts warm although the pool controller writes quantities in another way', async function () {
    this.timeout(180_000);
    const template = {
      environment: [
        { name: 'EMPTY', value: '' },
        { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '0.001' } } },
      ],
      resources: { requests: { cpu: '0.01', memory: '2048Ki' }, limits: { cpu: '0.5', memory: '1024Mi' } },
    };
    await pools.createRuntime({ name: 'q', size: 1, authMode: 'none', template });
    await pools.warm('q', 1);
    expect((await pools.create('q')).status?.start).to.equal('Warm');
  });
});
