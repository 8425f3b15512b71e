import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Registry } from 'prom-client';
import { createLog } from '../../apis/runtime/log.ts';
import { UsageError } from '../../apis/runtime/options.ts';
import { AuditFile } from '../../proxy/invocation/audit.ts';
import { useControlPlane, useNamespace } from '../support/control-plane.ts';
import { https } from '../support/http.ts';
import { until } from '../support/until.ts';
import { newServingCertificate } from './support/certificate.ts';
import { Cleanup } from './support/cleanup.ts';
import { requestText, startGateway } from './support/gateway.ts';
import { startReadyProxy } from './support/proxy.ts';
import { exchange } from './support/raw-client.ts';
import { TestSessions } from './support/sessions.ts';
import { startUpstream } from './support/upstream.ts';

interface AuditEvent {
  auditID: string;
  requestURI: string;
  verb: string;
  user: { username: string; groups: string[] };
  sourceIPs?: string[];
  objectRef: { name: string; namespace: string; uid?: string; subresource: string };
  responseStatus: { code: number };
  annotations: Record<string, string>;
}

describe('the audit of calls', () => {
  const plane = useControlPlane();
  const namespace = useNamespace(plane);
  const cleanup = new Cleanup();
  let dir: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sojourn-audit-'));
  });
  after(() => rm(dir, { recursive: true, force: true }));

  it('has one line for each: who, what, which session, how it ended, how much; never the query', async () => {
    const path = join(dir, 'calls.log');
    const registry = new Registry();
    const audit = new AuditFile({ path, registry, log: createLog({ level: 'error' }) });
    const upstream = cleanup.add(
      await startUpstream((request, response) => {
        request.resume().on('end', () => response.writeHead(201).end('answer'));
      }),
    );
    const sessions = new TestSessions(plane.client, () => namespace.name);
    await sessions.create({ name: 's', endpoints: [{ pathPrefix: '/', port: upstream.port, protocol: 'HTTP' }] });
    await sessions.makeReady('s');
    const user = { username: 'al"ice\n', groups: ['system:authenticated'] };
    const gateway = cleanup.add(await startGateway({ client: plane.client, audit, user }));
    const headers = ['Audit-ID: 7f6e-42'];
    const answer = await gateway.call(namespace.name, 's', {
      method: 'POST',
      target: '/api/execute?token=secret',
      body: '12345',
      headers,
    });
    expect(answer).to.match(/^HTTP\/1\.1 201 /);
    const sessionUid = /x-agentcube-session-id: (\S+)/i.exec(answer)?.[1];
    await gateway.call(namespace.name, 'absent', { target: '/x' });

    const lines = async () => (await readFile(path, 'utf8')).trimEnd().split('\n');
    await until('both lines', async () => (await lines()).length === 2);
    const [carried, refused] = (await lines()).map((line) => JSON.parse(line) as AuditEvent);
    expect(carried).to.deep.include({
      auditID: '7f6e-42',
      verb: 'create',
      user,
      responseStatus: { metadata: {}, code: 201 },
    });
    expect(carried?.requestURI).to.match(/\/sessions\/s\/proxy\/api\/execute$/);
    expect(carried?.objectRef).to.include({
      namespace: namespace.name,
      name: 's',
      uid: sessionUid,
      subresource: 'proxy',
    });
    expect(carried?.annotations).to.include({
      'sojourn.dev/route': 'native',
      'sojourn.dev/outcome': 'answered',
      'sojourn.dev/bytes-received': '5',
      'sojourn.dev/bytes-sent': '6',
    });
    expect(refused).to.deep.include({ verb: 'get', responseStatus: { metadata: {}, code: 404 } });
    expect(refused?.annotations).to.include({ 'sojourn.dev/outcome': 'refused' });
    expect(refused?.auditID).to.match(/^[0-9a-f-]{36}$/);
    expect(await readFile(path, 'utf8')).to.not.contain('secret');
    await audit.stop();
  });

  it('has a line for a call that was turned away, whoever made it', async () => {
    const path = join(dir, 'refused.log');
    const proxy = await startReadyProxy(plane, ['--audit-log-path', path]);
    try {
      await exchange(proxy.port, requestText(namespace.name, 'any', { headers: ['Authorization: Bearer wrong'] }));
      const { stdout } = await plane.kubectl(['create', 'token', 'default', '-n', namespace.name]);
      const authorization = `Authorization: Bearer ${stdout.trim()}`;
      await exchange(proxy.port, requestText(namespace.name, 'any', { method: 'POST', headers: [authorization] }));
    } finally {
      await proxy.stop();
    }
    const events = (await readFile(path, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as AuditEvent);
    const told = events.map(({ verb, user, responseStatus }) => `${user.username} ${verb} ${responseStatus.code}`);
    expect(told).to.deep.equal([
      'system:anonymous get 401',
      `system:serviceaccount:${namespace.name}:default create 403`,
    ]);
  });

  it('names the address of the client in both HTTP versions, whose connection may be over by then', async () => {
    const path = join(dir, 'sources.log');
    const audit = new AuditFile({ path, registry: new Registry(), log: createLog({ level: 'error' }) });
    const certificate = await newServingCertificate();
    const tls = { ...certificate, clientCertificates: 'ignore' } as const;
    const gateway = cleanup.add(await startGateway({ client: plane.client, audit, tls }));
    const url = `https://127.0.0.1:${gateway.port}/apis/sojourn.dev/v1alpha1/namespaces/${namespace.name}/sessions/x/proxy/`;
    const session = connect(url, { ca: certificate.ca });
    const stream = session.request({ ':path': new URL(url).pathname });
    await once(stream.resume(), 'close');
    session.destroy();
    await https({ url, ca: certificate.ca });
    await audit.stop();
    const events = (await readFile(path, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as AuditEvent);
    expect(events.map(({ sourceIPs }) => sourceIPs)).to.deep.equal([['127.0.0.1'], ['127.0.0.1']]);
  });

  it('waits for a standard output that is not read for a while, and loses nothing', async () => {
    const program = new URL('support/audited-calls.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, [program, '3000'], { stdio: ['ignore', 'pipe', 'pipe'] });
    // Said once all lines were handed over: by then the pipe is long full.
    await once(child.stderr, 'data');
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    expect((await once(child, 'close'))[0]).to.equal(0);
    const events = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as AuditEvent);
    const audited = events.filter(({ requestURI }) => requestURI !== undefined);
    expect(audited.map(({ requestURI }) => requestURI)).to.deep.equal(Array.from({ length: 3000 }, (_, i) => `/${i}`));
  });

  it('quotes names that no session has, which kube-apiserver lets through', async () => {
    const path = join(dir, 'names.log');
    const audit = new AuditFile({ path, registry: new Registry(), log: createLog({ level: 'error' }) });
    const name = 'x"},"user":{"username":"somebody-else"},"objectRef":{"name":"y';
    audit.write({
      ...{ route: 'aggregated', verb: 'get', requestUri: '/', sourceAddress: '127.0.0.1', auditId: undefined },
      ...{ user: { username: 'u' }, namespace: 'n"', name, sessionUid: undefined, code: 404 },
      ...{ outcome: 'refused', traffic: { received: 0, sent: 0, total: 0 }, begunAt: 0, durationMs: 1 },
    });
    await audit.stop();
    const event = JSON.parse(await readFile(path, 'utf8')) as AuditEvent;
    expect(event.user.username).to.equal('u');
    expect(event.objectRef).to.include({ name, namespace: 'n"' });
  });

  it('loses no line at a stop', async () => {
    const path = join(dir, 'burst.log');
    const audit = new AuditFile({ path, registry: new Registry(), log: createLog({ level: 'error' }) });
    for (let i = 0; i < 5000; i += 1) {
      audit.write({
        ...{ route: 'native', verb: 'get', requestUri: `/${i}`, sourceAddress: '127.0.0.1', auditId: undefined },
        ...{ user: { username: 'u' }, namespace: 'n', name: 's', sessionUid: undefined, code: 200 },
        ...{ outcome: 'answered', traffic: { received: 0, sent: 0, total: 0 }, begunAt: 0, durationMs: 1 },
      });
    }
    await audit.stop();
    const events = (await readFile(path, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as AuditEvent);
    expect(events.map(({ requestURI }) => requestURI)).to.deep.equal(Array.from({ length: 5000 }, (_, i) => `/${i}`));
  });

  it('is opened at the start, or there is none', () => {
    const path = join(dir, 'no', 'such', 'folder');
    const open = () => new AuditFile({ path, registry: new Registry(), log: createLog({ level: 'error' }) });
    expect(open).to.throw(UsageError, `--audit-log-path ${path} cannot be opened (ENOENT)`);
  });

  it('says and counts it when the disk is full, and calls go on', async () => {
    const registry = new Registry();
    const said: string[] = [];
    const log = createLog({ write: (line) => said.push(line) });
    const audit = new AuditFile({ path: '/dev/full', registry, log });
    const gateway = cleanup.add(await startGateway({ client: plane.client, audit }));
    await gateway.call(namespace.name, 'absent');
    await until('the failure to be said', () => said.length === 1);
    expect(said[0]).to.contain('the audit log cannot be written');
    expect(await gateway.call(namespace.name, 'absent')).to.match(/^HTTP\/1\.1 404 /);
    expect(await registry.getSingleMetricAsString('sojourn_audit_events_dropped_total')).to.match(/total 1$/m);
    await audit.stop();
  });
});
