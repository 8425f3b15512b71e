import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { onBehalfOf, onBehalfOfHeader } from '../../../proxy/access/caller.ts';
import { useCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';
import { DirectPort } from './support/direct.ts';

interface AuditEvent {
  auditID: string;
  level: string;
  stage: string;
  verb: string;
  requestURI: string;
  user: { username: string; groups?: string[] };
  impersonatedUser?: { username: string };
  sourceIPs: string[];
  objectRef: Record<string, string>;
  responseStatus: Record<string, unknown>;
  annotations?: Record<string, string>;
}

const base = '/apis/sojourn.dev/v1alpha1';

describe('the audit of requests for sessions', () => {
  const env = useCluster();
  const space = env.namespace('audited');
  const direct = new DirectPort(env);
  const path = () => `${base}/namespaces/${space.name}/sessions`;
  const manifest = {
    apiVersion: 'sojourn.dev/v1alpha1',
    kind: 'Session',
    metadata: { generateName: 'audited-' },
    spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'none' } },
  };

  async function lines(auditId: string): Promise<AuditEvent[]> {
    const file = join(env.cluster.plane.dir, 'logs', 'sojourn-apiserver-audit.log');
    const written = (await readFile(file, 'utf8')).split('\n').slice(0, -1);
    return written.map((line) => JSON.parse(line) as AuditEvent).filter(({ auditID }) => auditID === auditId);
  }

  async function line(auditId: string): Promise<AuditEvent> {
    return await until(`the line of ${auditId}`, async () => (await lines(auditId))[0]);
  }

  it('has who, what, which object and how it ended, under kube-apiserver’s own id', async () => {
    const created = await env.client.requestRaw({ method: 'POST', path: path(), body: manifest });
    const { metadata } = JSON.parse(created.body.toString()) as { metadata: { name: string; uid: string } };
    const event = await line(String(created.headers['audit-id']));
    expect(event).to.deep.include({
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: 'Metadata',
      stage: 'ResponseComplete',
      verb: 'create',
      requestURI: path(),
      responseStatus: { metadata: {}, code: 201 },
      annotations: { 'authorization.k8s.io/decision': 'allow' },
      objectRef: {
        resource: 'sessions',
        namespace: space.name,
        name: metadata.name,
        uid: metadata.uid,
        apiGroup: 'sojourn.dev',
        apiVersion: 'v1alpha1',
      },
    });
    expect(event.user).to.deep.include({ username: 'admin' });
    expect(event.user.groups).to.include.members(['system:masters', 'system:authenticated']);
    expect(event.sourceIPs).to.include('127.0.0.1');
    expect(JSON.stringify(event)).not.to.contain('runtimeRef');
  });

  it('says that somebody was turned away, and why: without rights, and without a name', async () => {
    const id = (name: string) => ['Audit-Id', name];
    await direct.as({ username: 'mallory' }, `${path()}/x`, { method: 'DELETE', rawHeaders: id('turned-away') });
    const refused = await line('turned-away');
    expect(refused).to.deep.include({ verb: 'delete', annotations: { 'authorization.k8s.io/decision': 'forbid' } });
    expect(refused.responseStatus).to.deep.include({ status: 'Failure', reason: 'Forbidden', code: 403 });
    await direct.as({ username: '' }, path(), { rawHeaders: [...id('unknown'), 'X-Forwarded-For', '6.6.6.6'] });
    const unknown = await line('unknown');
    expect(unknown.user.username).to.equal('system:anonymous');
    expect(unknown.responseStatus).to.deep.include({ reason: 'Unauthorized', code: 401 });
    expect(unknown).not.to.have.property('annotations');
    expect(unknown.sourceIPs).to.deep.equal(['127.0.0.1']);
  });

  it('has calls into sandboxes and upgrades that were turned away, each once and without their query', async () => {
    for (const [auditId, upgrade] of [
      ['refused-call', []],
      ['refused-upgrade', ['Connection', 'Upgrade', 'Upgrade', 'tty/1']],
    ] as const) {
      await direct.as({ username: 'mallory' }, `${path()}/x/proxy/run?secret=1`, {
        rawHeaders: ['Audit-Id', auditId, ...upgrade],
      });
      const event = await line(auditId);
      expect(event.objectRef).to.include({ subresource: 'proxy', name: 'x' });
      expect(event.requestURI).to.equal(`${path()}/x/proxy/run`);
      expect(event.responseStatus).to.include({ code: 403 });
    }
    const admitted = { username: 'root', groups: ['system:masters'] };
    await direct.as(admitted, `${path()}/x/proxy/run`, { rawHeaders: ['Audit-Id', 'absent-session'] });
    await line('absent-session');
    expect(await lines('absent-session')).to.have.length(1);
  });

  it('names both who asked and on whose behalf', async () => {
    const answer = await env.asAccount('sojourn-proxy').requestRaw({
      path: `${path()}/none`,
      headers: { [onBehalfOfHeader]: onBehalfOf({ username: 'alice', groups: [] }) },
    });
    const event = await line(String(answer.headers['audit-id']));
    expect(event.user.username).to.equal('system:serviceaccount:sojourn-system:sojourn-proxy');
    expect(event.impersonatedUser?.username).to.equal('alice');
  });

  it('has a watch when it is over, and a list with what it selected', async () => {
    const query = { labelSelector: 'a=b' };
    const listed = await env.client.requestRaw({ path: path(), query });
    expect((await line(String(listed.headers['audit-id']))).requestURI).to.contain('labelSelector=a%3Db');
    const watched = await env.client.requestRaw({ path: path(), query: { watch: 'true', timeoutSeconds: '1' } });
    expect(await line(String(watched.headers['audit-id']))).to.deep.include({
      verb: 'watch',
      responseStatus: { metadata: {}, code: 200 },
    });
  });

  it('costs one line for each request and no more', async () => {
    const answer = await env.client.requestRaw({ path: `${path()}/none` });
    const auditId = String(answer.headers['audit-id']);
    await line(auditId);
    await env.client.requestRaw({ path: `${path()}/none` });
    expect(await lines(auditId)).to.have.length(1);
  });
});
