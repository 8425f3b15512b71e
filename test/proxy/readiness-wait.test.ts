import { expect } from 'chai';
import { annotations } from '../../apis/names.ts';
import type { SandboxSource } from '../../proxy/invocation/sandbox-source.ts';
import type { SessionRecord } from '../../proxy/invocation/session-record.ts';
import { useControlPlane, useNamespace } from '../support/control-plane.ts';
import { until } from '../support/until.ts';
import { readStored } from './activity/stored-session.ts';
import { Cleanup } from './support/cleanup.ts';
import { requestText, startGateway, type TestGateway } from './support/gateway.ts';
import { bodyOf, codeOf, exchange, jsonOf, RawClient } from './support/raw-client.ts';
import { TestSessions } from './support/sessions.ts';
import { startUpstream, type Upstream } from './support/upstream.ts';

interface StatusBody {
  reason: string;
  message: string;
  details?: { uid?: string; name?: string; retryAfterSeconds?: number };
}

describe('readiness wait', () => {
  const plane = useControlPlane();
  const namespace = useNamespace(plane);
  const cleanup = new Cleanup();
  let sessions: TestSessions;
  let upstream: Upstream;
  let patient: TestGateway;
  let hasty: TestGateway;

  before(async () => {
    sessions = new TestSessions(plane.client, () => namespace.name);
    upstream = await startUpstream((request, response) => response.end(`answer to ${request.url}`));
    patient = await startGateway({ client: plane.client, readyTimeoutMs: 60_000 });
    hasty = await startGateway({ client: plane.client, readyTimeoutMs: 100 });
  });

  after(async () => {
    await Promise.all([patient.stop(), hasty.stop(), upstream.stop()]);
  });

  const create = (name: string, more: object = {}) =>
    sessions.create({ name, endpoints: [{ pathPrefix: '/', port: upstream.port, protocol: 'HTTP' }], ...more });
  const call = (name: string, gateway = hasty) => gateway.call(namespace.name, name);

  it('holds a call to a session that is on its way and answers as soon as it is ready', async () => {
    await create('on-its-way');
    const answer = call('on-its-way', patient);
    expect(jsonOf<StatusBody>(await call('on-its-way'))).to.include({ reason: 'SessionNotReady' });
    await sessions.makeReady('on-its-way');
    expect(bodyOf(await answer)).to.contain('answer to /');
  });

  it('gives up after its time with 503 and when to try again', async () => {
    await create('never');
    // A session that the watch has not brought by then is not named.
    const answer = await until('the session to be seen', async () => {
      const text = await call('never');
      return jsonOf<StatusBody>(text).details?.uid !== undefined && text;
    });
    const body = jsonOf<StatusBody>(answer);
    expect(codeOf(answer)).to.equal(503);
    expect(body.reason).to.equal('SessionNotReady');
    expect(body.details).to.include({ name: 'never', retryAfterSeconds: 1 });
    expect(answer).to.match(/\r\nretry-after: 1\r\n/i);
    expect(answer).to.contain(`x-agentcube-session-id: ${body.details?.uid}\r\n`);
  });

  it('stops waiting when the client leaves', async () => {
    await create('abandoned');
    const inFlight = async () =>
      (await patient.registry.getSingleMetricAsString('sojourn_invocations_in_flight')) ?? '';
    const client = await RawClient.connect(patient.port);
    client.send(requestText(namespace.name, 'abandoned', {}));
    await until('the call to wait', async () => (await inFlight()).includes('route="native",kind="request"} 1'));
    client.close();
    await until('the call to end', async () => (await inFlight()).includes('route="native",kind="request"} 0'));
  });

  it('is no use of a session that is answered 503, and lets it end, whether it is broken or only never ready', async () => {
    const began = Date.now();
    const spec = { idleTimeout: '1m' };
    await create('broken-start', { spec, createdAt: began - 20_000 });
    const waiting = { reason: 'ImagePullBackOff', message: 'no such image' };
    await sessions.setPodStatus('broken-start', { containerStatuses: [{ name: 'main', state: { waiting } }] });
    await until('the reason to be recorded', async () => {
      const stored = await readStored(plane.client, namespace.name, 'broken-start');
      return stored?.sandbox.metadata.annotations?.[annotations.failure]?.includes(waiting.reason);
    });
    await create('slow-start', { spec: { idleTimeout: '2m' }, createdAt: began - 61_000 });
    const gateway = cleanup.add(await startGateway({ client: plane.client, readyTimeoutMs: 100 }));
    for (const name of ['broken-start', 'slow-start']) {
      for (let turn = 0; turn < 3; turn += 1) expect(codeOf(await call(name, gateway)), name).to.equal(503);
      expect(gateway.path.activity.size, name).to.equal(0);
    }
    // A stopping process writes all use that it knows of.
    await gateway.stop();
    for (const name of ['broken-start', 'slow-start']) {
      const stored = await readStored(plane.client, namespace.name, name);
      expect(stored?.activityAt, name).to.equal(undefined);
    }
  });

  it('uses the session that has taken the name meanwhile, and no other than the one that was meant', async () => {
    const open = cleanup.add(await startUpstream((_request, response) => response.write('begun')));
    const endpoints = [{ pathPrefix: '/', port: open.port, protocol: 'HTTP' as const }];
    const view = new DelayedView();
    const gateway = cleanup.add(await startGateway({ client: plane.client, seen: (source) => view.of(source) }));
    const { activity } = gateway.path;
    await create('again', { endpoints });
    const first = await until('the session to be seen', () => view.get(namespace.name, 'again'));
    const client = cleanup.close(await RawClient.connect(gateway.port));
    client.send(requestText(namespace.name, 'again', {}));
    const lines = [
      `GET /v1/namespaces/${namespace.name}/code-interpreters/py/invocations/ HTTP/1.1`,
      ...['Host: proxy', 'Connection: close', `x-agentcube-session-id: ${first.session.metadata.uid}`],
    ];
    const meant = exchange(gateway.port, `${lines.join('\r\n')}\r\n\r\n`);
    const inFlight = () => gateway.registry.getSingleMetricAsString('sojourn_invocations_in_flight');
    for (const route of ['native', 'agentcube']) {
      await until('both to wait', async () => (await inFlight())?.includes(`route="${route}",kind="request"} 1`));
    }
    view.stands = true;
    await sessions.delete('again');
    const { metadata } = await create('again', { endpoints });
    await sessions.makeReady('again');
    await until('the new one to be known', () => view.newest(namespace.name, 'again') === metadata.uid);
    view.stands = false;
    view.catchUp(`${namespace.name}/again`);
    await client.hear(/begun/);
    expect(activity.size, 'sessions in use').to.equal(1);
    expect(await meant).to.match(/^HTTP\/1\.1 410 /);
  });

  it('knows a session from the moment its creation was acknowledged', async () => {
    for (let number = 0; number < 10; number += 1) {
      await create(`fresh-${number}`);
      expect(jsonOf<StatusBody>(await call(`fresh-${number}`)).reason).to.equal('SessionNotReady');
    }
  });

  it('says 404 for a session that is not there', async () => {
    const body = jsonOf<StatusBody>(await call('absent', patient));
    expect(body).to.include({ reason: 'NotFound', message: 'sessions.sojourn.dev "absent" not found' });
  });

  it('says 409 for a session that its spec suspends', async () => {
    await create('held', { spec: { suspended: true } });
    await until(
      'the hold to be seen',
      async () => jsonOf<StatusBody>(await call('held')).reason === 'SessionSuspended',
    );
    expect(codeOf(await call('held', patient))).to.equal(409);
  });

  it('says 410 for a session that is being deleted', async () => {
    await create('ending', { finalizers: ['example.com/hold'] });
    await sessions.delete('ending');
    await until('the deletion to be seen', async () => codeOf(await call('ending')) === 410);
    expect(jsonOf<StatusBody>(await call('ending', patient)).reason).to.equal('Gone');
    await sessions.patch('ending', { metadata: { finalizers: null } });
  });

  it('says 503 with the reason for a session that failed', async () => {
    await create('failed');
    await sessions.setPodStatus('failed', {
      phase: 'Failed',
      reason: 'Evicted',
      message: 'the node was low on memory',
    });
    await until('the failure to be seen', async () => {
      const body = jsonOf<StatusBody>(await call('failed'));
      return body.reason === 'SessionFailed' && body.message.includes('Evicted: the node was low on memory');
    });
  });

  it('says 503 for a session whose stored data is broken', async () => {
    await create('broken');
    await sessions.patch('broken', { metadata: { annotations: { [annotations.session]: 'not JSON' } } });
    await until('the damage to be seen', async () => {
      const body = jsonOf<StatusBody>(await call('broken'));
      return body.reason === 'SessionFailed' && body.message.includes('DocumentUnreadable');
    });
  });

  it('dials no Pod that another controls, or none, whatever its name', async () => {
    await sessions.createForeignPod('impostor');
    await sessions.makeReady('impostor');
    await create('impostor');
    expect(jsonOf<StatusBody>(await call('impostor')).reason).to.equal('SessionNotReady');
  });

  it('dials no Pod that is not ready, and waits for the one that replaces a Pod', async () => {
    await create('replaced');
    await sessions.makeReady('replaced');
    await until('the session to answer', async () => codeOf(await call('replaced')) === 200);
    await sessions.makeReady('replaced', { ready: false });
    await until('the Pod to be left alone', async () => codeOf(await call('replaced')) === 503);
    await sessions.deletePod('replaced');
    const answer = call('replaced', patient);
    await sessions.makeReady('replaced');
    expect(codeOf(await answer)).to.equal(200);
  });

  it('refuses addresses that no Pod may have', async () => {
    const strict = cleanup.add(
      await startGateway({ client: plane.client, readyTimeoutMs: 100, allowLoopbackPods: false }),
    );
    await create('loopback');
    await sessions.makeReady('loopback');
    await until('the session to answer elsewhere', async () => codeOf(await call('loopback')) === 200);
    await until('the refusal', async () => codeOf(await call('loopback', strict)) === 502);
    const body = jsonOf<StatusBody>(await call('loopback', strict));
    expect(body.reason).to.equal('UpstreamFailed');
    expect(body.message).not.to.contain('127.0.0.1');
  });

  it('prefers the endpoint with the longest prefix and keeps the prefix', async () => {
    const second = cleanup.add(await startUpstream((request, response) => response.end(`second: ${request.url}`)));
    await create('two-ports', {
      endpoints: [
        { pathPrefix: '/', port: upstream.port, protocol: 'HTTP' },
        { pathPrefix: '/api', port: second.port, protocol: 'HTTP' },
      ],
    });
    await sessions.makeReady('two-ports');
    await until('the session to answer', async () => codeOf(await call('two-ports')) === 200);
    const get = async (target: string) => await hasty.call(namespace.name, 'two-ports', { target });
    expect(await get('/api/x?y=1')).to.contain('second: /api/x?y=1');
    expect(await get('/apiary')).to.contain('answer to /apiary');
  });
});

/** Sessions as somebody sees them whose watch stands still for a while, and misses what was only in between. */
class DelayedView implements SandboxSource {
  stands = false;
  readonly #records = new Map<string, SessionRecord | undefined>();
  readonly #listeners = new Set<(key: string) => void>();
  #source: SandboxSource | undefined;

  of(source: SandboxSource): this {
    this.#source = source;
    source.onChange((key) => {
      if (!this.stands) this.catchUp(key);
    });
    return this;
  }

  get synced(): boolean {
    return this.#source?.synced === true;
  }

  get(namespace: string, name: string): SessionRecord | undefined {
    return this.#records.get(`${namespace}/${name}`);
  }

  /** uid of the Sandbox that there is really. */
  newest(namespace: string, name: string): string | undefined {
    return this.#source?.get(namespace, name)?.sandboxUid;
  }

  catchUp(key: string): void {
    const [namespace = '', name = ''] = key.split('/');
    this.#records.set(key, this.#source?.get(namespace, name));
    for (const listener of this.#listeners) listener(key);
  }

  onChange(listener: (key: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
