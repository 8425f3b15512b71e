import { expect } from 'chai';
import { annotations, sandboxApi } from '../../../apis/names.ts';
import type { Failure } from '../../../apis/v1alpha1/failure.ts';
import type { Sandbox } from '../../../apis/v1alpha1/sandbox.ts';
import { type AuditEvent, AuditTail } from '../../../hack/cluster/audit-tail.ts';
import type { SandboxSource } from '../../../proxy/invocation/sandbox-source.ts';
import { useControlPlane, useNamespace } from '../../support/control-plane.ts';
import { until } from '../../support/until.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { codeOf, jsonOf } from '../support/raw-client.ts';
import { TestSessions } from '../support/sessions.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

interface StatusBody {
  reason: string;
  message: string;
  details?: { causes?: { reason: string; message: string }[]; retryAfterSeconds?: number };
}

describe('a session whose Pod does not run', () => {
  const plane = useControlPlane();
  const namespace = useNamespace(plane);
  let sessions: TestSessions;
  let upstream: Upstream;
  let replicas: [TestGateway, TestGateway];
  /** What the replicas know of the sessions. */
  const sources: SandboxSource[] = [];

  before(async () => {
    sessions = new TestSessions(plane.client, () => namespace.name);
    upstream = await startUpstream((_request, response) => response.end('well'));
    const seen = (source: SandboxSource) => {
      sources.push(source);
      return source;
    };
    const gateway = () => startGateway({ client: plane.client, readyTimeoutMs: 60_000, seen });
    replicas = [await gateway(), await gateway()];
  });

  after(async () => {
    await Promise.all([...replicas.map((replica) => replica.stop()), upstream.stop()]);
  });

  const create = (name: string) =>
    sessions.create({ name, endpoints: [{ pathPrefix: '/', port: upstream.port, protocol: 'HTTP' }] });
  const call = (name: string) => replicas[0].call(namespace.name, name);
  const path = (name: string) => `${sandboxApi.path}/namespaces/${namespace.name}/${sandboxApi.resource}/${name}`;

  async function recorded(name: string): Promise<Failure | undefined> {
    const { metadata } = await plane.client.request<Sandbox>({ path: path(name) });
    const text = metadata.annotations?.[annotations.failure];
    return text === undefined ? undefined : (JSON.parse(text) as Failure);
  }

  async function failure(name: string, reason: string): Promise<Failure> {
    return await until(`${name} to be recorded as ${reason}`, async () => {
      const found = await recorded(name);
      return found?.reason === reason ? found : undefined;
    });
  }

  const waiting = (reason: string, message: string, lastState: object = {}) => ({
    phase: 'Running',
    containerStatuses: [{ ...container, state: { waiting: { reason, message } }, lastState }],
  });
  const container = { name: 'main', image: 'x', imageID: 'x', ready: false, restartCount: 1 };
  const terminated = (reason: string, exitCode: number) => ({ terminated: { reason, exitCode } });

  const healing: [string, object, string, RegExp][] = [
    ['image', waiting('ErrImagePull', 'x: not found'), 'ErrImagePull', /^container "main": x: not found$/],
    [
      'secret',
      waiting('CreateContainerConfigError', 'couldn\'t find key "k" in Secret ns/s'),
      'CreateContainerConfigError',
      /couldn't find key "k" in Secret ns\/s/,
    ],
    [
      'crashes',
      waiting('CrashLoopBackOff', 'back-off 20s restarting', terminated('Error', 3)),
      'CrashLoopBackOff',
      /^container "main" ended with exit code 3 and is started again with back-off$/,
    ],
    [
      'memory',
      waiting('CrashLoopBackOff', 'back-off 20s restarting', terminated('OOMKilled', 137)),
      'OOMKilled',
      /more memory than its limit/,
    ],
  ];
  describe('that Kubernetes tries to start again and again', () => {
    const answers = new Map<string, Promise<string>>();

    // All at once, because each call waits a little for its session to heal.
    before(async () => {
      for (const [name, status, reason] of healing) {
        await create(name);
        await sessions.setPodStatus(name, status);
        await failure(name, reason);
        answers.set(name, call(name));
      }
    });

    for (const [name, , reason, message] of healing) {
      it(`is Pending with ${reason}, and a call is told so long before its time is over`, async () => {
        const found = await failure(name, reason);
        expect(found).to.include({ final: false, podUid: await sessions.podUid(name) });
        expect(found.message).to.match(message);
        const answer = (await answers.get(name)) ?? '';
        const body = jsonOf<StatusBody>(answer);
        expect(codeOf(answer)).to.equal(503);
        expect(body.reason).to.equal('SessionNotReady');
        expect(body.message).to.contain(`Pending and has no ready Pod: ${reason}: `);
        expect(body.details?.causes?.[0]).to.deep.include({ reason });
        expect(body.details?.retryAfterSeconds).to.equal(1);
      });
    }
  });

  const lasting: [string, object, string][] = [
    ['evicted', { phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: memory.' }, 'Evicted'],
    ['lost', { phase: 'Failed', reason: 'NodeLost', message: 'Node gone is unresponsive' }, 'NodeLost'],
    ['late', { phase: 'Failed', reason: 'DeadlineExceeded', message: 'too long' }, 'DeadlineExceeded'],
    [
      'dead',
      { phase: 'Failed', containerStatuses: [{ ...container, state: terminated('OOMKilled', 137) }] },
      'OOMKilled',
    ],
    ['misnamed', waiting('InvalidImageName', 'couldn\'t parse image name "X"'), 'InvalidImageName'],
    [
      'over',
      { phase: 'Succeeded', containerStatuses: [{ ...container, state: terminated('Completed', 0) }] },
      'Completed',
    ],
  ];
  for (const [name, status, reason] of lasting) {
    it(`is Failed with ${reason} when Kubernetes gives up (${name}), and a call is told so at once`, async () => {
      await create(name);
      await sessions.setPodStatus(name, status);
      expect(await failure(name, reason)).to.include({ final: true });
      await until('the reason to be known', async () => {
        const { reason: code, message } = jsonOf<StatusBody>(await call(name));
        return code === 'SessionFailed' && message.includes(`the session cannot run: ${reason}: `);
      });
      const begun = performance.now();
      const body = jsonOf<StatusBody>(await call(name));
      expect(performance.now() - begun).to.be.below(4_000);
      expect(body.message).to.contain(`the session cannot run: ${reason}: `);
    });
  }

  it('is told of the Pod’s disruption while it waits for a dead node', async () => {
    await create('stranded');
    const now = new Date().toISOString();
    await sessions.setPodStatus('stranded', {
      phase: 'Running',
      conditions: [
        {
          type: 'DisruptionTarget',
          status: 'True',
          reason: 'DeletionByTaintManager',
          message: 'taint',
          lastTransitionTime: now,
        },
      ],
    });
    await holdAndDelete('stranded');
    expect(await failure('stranded', 'DeletionByTaintManager')).to.include({ final: false });
    await release('stranded');
  });

  it('waits for the next Pod while one that was deleted has ended and goes', async () => {
    await create('succeeded');
    await sessions.makeReady('succeeded');
    expect(codeOf(await call('succeeded'))).to.equal(200);
    const gone = await sessions.podUid('succeeded');
    await holdAndDelete('succeeded');
    await sessions.setPodStatus('succeeded', {
      phase: 'Succeeded',
      conditions: [{ type: 'Ready', status: 'False', lastTransitionTime: new Date().toISOString() }],
      containerStatuses: [{ ...container, state: terminated('Completed', 0) }],
    });
    await until('agent-sandbox to see it', async () => {
      const { status } = await plane.client.request<Sandbox>({ path: path('succeeded') });
      return status?.conditions?.some(({ reason }) => reason === 'PodSucceeded');
    });
    const answer = call('succeeded');
    await release('succeeded');
    await until('the next Pod', async () => {
      const pod = `/api/v1/namespaces/${namespace.name}/pods/succeeded`;
      const { status, body } = await plane.client.requestRaw({ path: pod });
      return status === 200 && (JSON.parse(body.toString()) as Sandbox).metadata.uid !== gone;
    });
    await sessions.makeReady('succeeded');
    expect(codeOf(await answer), await answer).to.equal(200);
    expect(await recorded('succeeded')).to.equal(undefined);
  });

  async function holdAndDelete(name: string): Promise<void> {
    const pod = `/api/v1/namespaces/${namespace.name}/pods/${name}`;
    await plane.client.request({
      method: 'PATCH',
      path: pod,
      contentType: 'application/merge-patch+json',
      body: { metadata: { finalizers: ['example.com/hold'] } },
    });
    await plane.client.request({ method: 'DELETE', path: pod });
  }

  async function release(name: string): Promise<void> {
    await plane.client.request({
      method: 'PATCH',
      path: `/api/v1/namespaces/${namespace.name}/pods/${name}`,
      contentType: 'application/merge-patch+json',
      body: { metadata: { finalizers: null } },
    });
  }

  it('says why no node takes the Pod, without a write of ours', async () => {
    await create('unschedulable');
    const now = new Date().toISOString();
    const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', lastTransitionTime: now };
    const message = '0/3 nodes are available: 3 Insufficient memory.';
    await sessions.setPodStatus('unschedulable', { phase: 'Pending', conditions: [{ ...condition, message }] });
    // Where there is a scheduler, it has the last word.
    const told = /Pending and has no ready Pod: Unschedulable: 0\/\d+ nodes are available/;
    await until('the reason', async () => told.test(await call('unschedulable')));
    expect(await recorded('unschedulable')).to.equal(undefined);
  });

  it('answers a call as soon as the trouble passes, and forgets it', async () => {
    await create('healing');
    await sessions.setPodStatus('healing', waiting('ErrImagePull', 'not yet'));
    await failure('healing', 'ErrImagePull');
    const answer = call('healing');
    await sessions.makeReady('healing');
    expect(codeOf(await answer)).to.equal(200);
    await until('the failure to be forgotten', async () => (await recorded('healing')) === undefined);
  });

  it('forgets the failure of a Pod that another one has replaced', async () => {
    await create('replaced');
    await sessions.setPodStatus('replaced', { phase: 'Failed', reason: 'Evicted', message: 'low on memory' });
    const { podUid } = await failure('replaced', 'Evicted');
    await sessions.deletePod('replaced');
    await until('the failure to be forgotten', async () => (await recorded('replaced')) === undefined);
    expect(await sessions.podUid('replaced')).not.to.equal(podUid);
  });

  it('puts neither signed URLs nor user names nor a long text into the annotation', async () => {
    await create('secretive');
    const url = 'https://user:hunter2@registry.example/v2/x?X-Amz-Signature=abcdef&Expires=1';
    await sessions.setPodStatus('secretive', waiting('ErrImagePull', `GET ${url}: 403 ${'x'.repeat(10_000)}`));
    const { message } = await failure('secretive', 'ErrImagePull');
    expect(message).to.contain('GET https://registry.example/v2/x 403');
    expect(message).not.to.match(/hunter2|Signature|abcdef/);
    expect(message.length).to.be.below(600);
  });

  it('is told in an Event even when it is over at once', async () => {
    await create('brief');
    // Pods come by a watch of their own.
    await until('a replica to know it', () => sources.some((source) => source.get(namespace.name, 'brief')));
    await sessions.setPodStatus('brief', {
      phase: 'Running',
      containerStatuses: [{ ...container, state: terminated('OOMKilled', 137) }],
    });
    await sessions.makeReady('brief');
    await until('the Event', async () => {
      const { items } = await plane.client.request<{ items: { message: string }[] }>({
        path: `/api/v1/namespaces/${namespace.name}/events`,
        query: { fieldSelector: 'involvedObject.kind=Session,involvedObject.name=brief,reason=Failed' },
      });
      return items[0]?.message.startsWith('OOMKilled: container "main" was killed');
    });
    expect(codeOf(await call('brief'))).to.equal(200);
  });

  it('is written once for each change of the reason, by two replicas and however often it comes back', async () => {
    await create('loop');
    const tail = await AuditTail.open(plane.dir);
    const crash = waiting('CrashLoopBackOff', 'back-off', terminated('Error', 1));
    await sessions.setPodStatus('loop', crash);
    await failure('loop', 'CrashLoopBackOff');
    for (let round = 0; round < 10; round += 1) {
      await sessions.setPodStatus('loop', {
        containerStatuses: [{ ...container, state: { running: {} }, lastState: {} }],
      });
      await sessions.setPodStatus('loop', {
        containerStatuses: [{ ...container, restartCount: round, state: terminated('Error', 1) }],
      });
      await sessions.setPodStatus('loop', crash);
    }
    await sessions.setPodStatus('loop', waiting('CrashLoopBackOff', 'back-off', terminated('OOMKilled', 137)));
    await failure('loop', 'OOMKilled');
    const isAttempt = ({ verb, objectRef, user }: AuditEvent) =>
      verb === 'patch' &&
      objectRef?.resource === 'sandboxes' &&
      objectRef.name === 'loop' &&
      objectRef.subresource === undefined &&
      !user.username.includes('agent-sandbox');
    const isWrite = (event: AuditEvent) => isAttempt(event) && event.responseStatus?.code === 200;
    // What was stored may have its line in the audit log a little later.
    const seen: AuditEvent[] = [];
    await until('the lines of both writes', async () => {
      seen.push(...(await tail.read()));
      return seen.filter(isWrite).length >= 2;
    });
    // Marks the end in the audit log.
    await plane.client.request({ path: path('loop'), query: { pretty: 'end' } });
    seen.push(...(await tail.readUntil('the mark', ({ requestURI }) => requestURI.endsWith('loop?pretty=end'))));
    const writes = seen.filter(isAttempt);
    expect(writes.filter(isWrite).length).to.equal(2);
    // Each of the replicas, and of the cluster's two processes if it runs, tries a change once at most.
    expect(writes.length, 'attempts').to.be.at.most(8);
  });
});
