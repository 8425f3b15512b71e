import { join } from 'node:path';
import { expect } from 'chai';
import { findCondition, type KubeObject } from '../../../apis/machinery/meta.ts';
import type { SandboxWarmPool } from '../../../apis/v1alpha1/pool-template.ts';
import type { SandboxSpec } from '../../../apis/v1alpha1/sandbox.ts';
import { sandboxPath } from '../../../apis/v1alpha1/sandbox-paths.ts';
import { type AuditEvent, AuditTail } from '../../../hack/cluster/audit-tail.ts';
import { checkout } from '../../../hack/start/places.ts';
import { useCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';
import { Pools, readSession } from './support/pools.ts';

const account = 'system:serviceaccount:sojourn-system:sojourn-apiserver';
const writes = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);

describe('a warm start', () => {
  const env = useCluster();
  const space = env.namespace('warm');
  const pools = Pools.of(env, space);
  let pool: SandboxWarmPool;

  before(async function () {
    this.timeout(120_000);
    await pools.createRuntime({ name: 'w', size: 2 });
    pool = await pools.warm('w', 2);
  });

  it('takes a Ready member of the pool, and the pool fills up again', async () => {
    const members = (await pools.readyMembers(pool)).map(({ metadata }) => metadata.name);
    const asked = Date.now();
    const session = await pools.create('w', { metadata: { generateName: 'w-', labels: { app: 'x' } } });
    expect(session.status).to.include({ start: 'Warm', phase: 'Ready' });
    expect(members).to.include(session.metadata.name);
    expect(session.metadata).to.deep.include({ generateName: 'w-', labels: { app: 'x' } });
    expect(session.metadata.ownerReferences).to.equal(undefined);
    const created = Date.parse(session.metadata.creationTimestamp ?? '');
    expect(created, 'in whole seconds').to.be.within(asked - 999, Date.now());
    await pools.full('w', 2);
    const selected = await env.kubectl(['get', 'sessions', '-n', space.name, '-l', 'app=x', '-o', 'name']);
    expect(selected.stdout.trim()).to.equal(`session.sojourn.dev/${session.metadata.name}`);
  });

  it('is one write of ours', async () => {
    await pools.warm('w', 2);
    const audit = await AuditTail.open(env.cluster.plane.dir);
    const session = await pools.create('w');
    expect(session.status?.start).to.equal('Warm');
    const name = session.metadata.name ?? '';
    // Lines come after answers: there may be some of the dry runs before. News of the pool are written when it has settled.
    const isOurs = ({ verb, user, objectRef, requestURI }: AuditEvent) =>
      writes.has(verb) &&
      user.username === account &&
      objectRef?.namespace === space.name &&
      !['events', 'codeinterpreters'].includes(objectRef.resource ?? '') &&
      !requestURI.includes('dryRun=All');
    const events = await audit.readUntil(
      'the adoption',
      (event) => isOurs(event) && event.verb === 'patch' && event.objectRef?.name === name,
    );
    const ours = events.filter(isOurs);
    expect(ours.map(({ verb, objectRef }) => `${verb} ${objectRef?.resource} ${objectRef?.name}`)).to.deep.equal([
      `patch sandboxes ${name}`,
    ]);
  });

  it('leaves watchers of Sandboxes no record of field owners to read, whoever writes later', async () => {
    await pools.warm('w', 1);
    const { metadata } = await pools.create('w');
    await env.kubectl(['annotate', 'session', metadata.name ?? '', '-n', space.name, 'example.com/by=user']);
    const stored = await env.client.request<KubeObject & { metadata: { managedFields?: unknown } }>({
      path: sandboxPath(space.name, metadata.name ?? ''),
    });
    expect(stored.metadata).not.to.have.property('managedFields');
    const shown = await env.client.request<KubeObject & { metadata: { managedFields?: { manager: string }[] } }>({
      path: `${pools.sessionsPath}/${metadata.name}`,
    });
    expect(shown.metadata.annotations).to.include({ 'example.com/by': 'user' });
    expect(shown.metadata.managedFields?.map(({ manager }) => manager)).to.include('kubectl-annotate');
  });

  it('leaves the Pod under the NetworkPolicy of deploy/examples, and safe from the autoscaler', async () => {
    await env.kubectl(['apply', '-n', space.name, '-f', join(checkout, 'deploy/examples/network-policy.yaml')]);
    const policy = await env.client.request<
      KubeObject & { spec: { podSelector: { matchExpressions: { key: string }[] } } }
    >({
      path: `/apis/networking.k8s.io/v1/namespaces/${space.name}/networkpolicies/sojourn-sandboxes`,
    });
    const [{ key = '' } = {}, ...others] = policy.spec.podSelector.matchExpressions;
    expect(others).to.deep.equal([]);
    await pools.warm('w', 1);
    const { metadata } = await pools.create('w');
    const path = `/api/v1/namespaces/${space.name}/pods/${metadata.name}`;
    const pod = await until('the Pod to leave the pool', async () => {
      const seen = await env.client.request<KubeObject>({ path });
      return seen.metadata.labels?.['agents.x-k8s.io/warm-pool-sandbox'] === undefined ? seen : undefined;
    });
    expect(pod.metadata.labels?.[key]).to.equal('w');
    expect(pod.metadata.annotations).to.include({ 'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false' });
  });

  it('lets a user own the session by his object alone', async function () {
    this.timeout(180_000);
    await pools.warm('w', 1);
    const owner = await env.client.request<KubeObject>({
      method: 'POST',
      path: `/api/v1/namespaces/${space.name}/configmaps`,
      body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'owner' } },
    });
    const reference = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: owner.metadata.uid };
    const session = await pools.create('w', { metadata: { generateName: 'w-', ownerReferences: [reference] } });
    expect(session.status?.start).to.equal('Warm');
    expect(session.metadata.ownerReferences).to.deep.equal([reference]);
    await env.client.request({ method: 'DELETE', path: `/api/v1/namespaces/${space.name}/configmaps/owner` });
    await until(
      'the session to go with its owner',
      async () => {
        const answer = await env.client.requestRaw({ path: `${pools.sessionsPath}/${session.metadata.name}` });
        return answer.status === 404;
      },
      // The garbage collector learns of a resource within half a minute.
      { deadlineMs: 90_000 },
    );
  });

  it('has no effect as a dry run, but the answer that it would have', async () => {
    await pools.warm('w', 2);
    const session = await pools.create('w', { query: { dryRun: 'All' } });
    expect(session.status?.start).to.equal('Warm');
    expect((await pools.readyMembers(pool)).map(({ metadata }) => metadata.name)).to.include(session.metadata.name);
    const answer = await env.client.requestRaw({ path: `${pools.sessionsPath}/${session.metadata.name}` });
    expect(answer.status).to.equal(404);
  });

  it('is not one when the name asked for does not fit, and the answer says so', async () => {
    await pools.warm('w', 1);
    for (const metadata of [{ name: 'mine' }, { generateName: 'agent-' }]) {
      const answer = await pools.post('w', { metadata });
      expect(readSession(answer).status?.start).to.equal('Cold');
      expect(String(answer.headers.warning)).to.match(/^299 - ".*keeps the session from the warm pool of \\"w\\"/);
    }
    const fitting = await pools.post('w');
    expect(fitting.headers.warning).to.equal(undefined);
    const shown = await env.kubectl(['create', '-f', '-', '-n', space.name], {
      stdin: JSON.stringify({
        apiVersion: 'sojourn.dev/v1alpha1',
        kind: 'Session',
        metadata: { name: 'shown' },
        spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'w' } },
      }),
    });
    expect(shown.stderr).to.match(/Warning: name "shown" keeps the session from the warm pool/);
  });

  it('is not one for a session that is held from the beginning', async () => {
    await pools.warm('w', 1);
    const session = await pools.create('w', { spec: { suspended: true } });
    expect(session.status?.start).to.equal('Cold');
  });

  it('has its own workspace volume when the runtime asks for one, as a cold start has', async function () {
    this.timeout(180_000);
    const image = 'ghcr.io/sojourn-dev/sojourn-daemon:test';
    await pools.createRuntime({ name: 'v', size: 1, image, annotations: { 'sojourn.dev/workspace': '1Gi' } });
    await pools.warm('v', 1);
    const sessions = [await pools.create('v'), await pools.create('v', { metadata: { name: 'v-cold' } })];
    expect(sessions.map(({ status }) => status?.start)).to.deep.equal(['Warm', 'Cold']);
    for (const { metadata } of sessions) {
      const name = metadata.name ?? '';
      const ready = ['wait', '-n', space.name, '--for=condition=Ready', `session/${name}`, '--timeout=30s'];
      expect((await env.kubectl(ready)).code).to.equal(0);
      const { stdout } = await env.client.request<{ stdout: string }>({
        method: 'POST',
        path: `${pools.sessionsPath}/${name}/proxy/api/execute`,
        body: { command: ['pwd'] },
      });
      const claim = await env.client.request<KubeObject & { spec: { volumeName: string } }>({
        path: `/api/v1/namespaces/${space.name}/persistentvolumeclaims/workspace-${name}`,
      });
      expect(stdout).to.contain(claim.spec.volumeName);
    }
  });

  it('never takes what only looks like a member', async () => {
    const real = await pools.warm('w', 2);
    const [member] = await pools.readyMembers(real);
    const { name: _name, uid: _uid, resourceVersion: _version, ...metadata } = member?.metadata ?? {};
    const template = member?.spec?.podTemplate;
    const forgeries: SandboxSpec[] = [
      { podTemplate: { ...template, spec: { containers: [{ name: 'evil', image: 'local/none' }] } } },
      // What a Service or a NetworkPolicy of somebody else's selects.
      {
        podTemplate: {
          metadata: { ...template?.metadata, labels: { ...template?.metadata?.labels, app: 'database' } },
          spec: template?.spec ?? {},
        },
      },
    ];
    const forged = await Promise.all(
      forgeries.map(
        async (spec) =>
          await env.client.request<KubeObject>({
            method: 'POST',
            path: pools.sandboxPath(),
            body: { apiVersion: 'agents.x-k8s.io/v1beta1', kind: 'Sandbox', metadata, spec },
          }),
      ),
    );
    for (const { metadata: forgedMetadata } of forged) {
      await until('the forged one to be Ready, or thrown out by the pool', async () => {
        const sandbox = (await pools.sandboxes()).find(({ metadata: { uid } }) => uid === forgedMetadata.uid);
        return sandbox === undefined || findCondition(sandbox.status?.conditions, 'Ready')?.status === 'True';
      });
    }
    for (let turn = 0; turn < 5; turn += 1) {
      const session = await pools.create('w');
      expect(forged.map(({ metadata: { name } }) => name)).not.to.include(session.metadata.name);
    }
  });

  it('is refused in a namespace that is on its way out', async function () {
    this.timeout(180_000);
    const ending = await env.createNamespace('leaving');
    const leaving = Pools.of(env, ending);
    await leaving.createRuntime({ name: 'w', size: 1 });
    await leaving.warm('w', 1);
    // Runtime and member stay what they are meanwhile, or they would be what is missing.
    const controller = env.cluster.plane.processes.find(({ name }) => name === 'kube-controller-manager');
    if (controller === undefined) throw new Error('the namespace controller does not run');
    process.kill(controller.pid, 'SIGSTOP');
    try {
      await env.client.request({ method: 'DELETE', path: `/api/v1/namespaces/${ending.name}` });
      // A namespace comes from a watch.
      const tried = async () => (await leaving.post('w', { query: { dryRun: 'All' } })).status;
      await until('the end of the namespace to be known', async () => (await tried()) === 403);
      const answer = await leaving.post('w');
      expect([answer.status, answer.body.toString()]).to.satisfy(
        ([status, text]: [number, string]) => status === 403 && /being terminated/.test(text),
      );
    } finally {
      process.kill(controller.pid, 'SIGCONT');
    }
  });

  it('is no way for the API server’s account to touch any other Sandbox', async () => {
    const plain = await env.client.request<KubeObject>({
      method: 'POST',
      path: pools.sandboxPath(),
      body: {
        apiVersion: 'agents.x-k8s.io/v1beta1',
        kind: 'Sandbox',
        metadata: { generateName: 'plain-' },
        spec: { podTemplate: { spec: { containers: [{ name: 'a', image: 'local/none' }] } } },
      },
    });
    const attempt = async (client: typeof env.client, name: string | undefined, labels: object) =>
      await client.requestRaw({
        method: 'PATCH',
        path: pools.sandboxPath(name),
        contentType: 'application/merge-patch+json',
        query: { dryRun: 'All' },
        body: { metadata: { labels, annotations: { 'sojourn.dev/session': '{}' } } },
      });
    const apiserver = env.asAccount('sojourn-apiserver');
    const bear = { 'sojourn.dev/session': 'true' };
    const refused = await attempt(apiserver, plain.metadata.name, bear);
    expect([refused.status, refused.body.toString()]).to.satisfy(
      ([status, text]: [number, string]) => status === 403 && /or make one of a member of a warm pool/.test(text),
    );
    const [member] = await pools.readyMembers(await pools.full('w', 2));
    const kept = await attempt(apiserver, member?.metadata.name, bear);
    expect(kept.status, 'with the pool’s label still there').to.equal(403);
    const adopted = { ...bear, 'agents.x-k8s.io/warm-pool-sandbox': null };
    expect((await attempt(apiserver, member?.metadata.name, adopted)).status).to.equal(200);
    const asProxy = await attempt(env.asAccount('sojourn-proxy'), member?.metadata.name, adopted);
    expect(asProxy.status).to.equal(403);
  });
});
