import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Status } from '../../apis/machinery/meta.ts';
import { issueLeaf } from '../../hack/cluster/certificates.ts';
import type { CredentialPaths } from '../../hack/cluster/pki.ts';
import { useCluster } from '../support/cluster.ts';
import { type Answer, https } from '../support/http.ts';
import { until } from '../support/until.ts';

const collection = '/apis/sojourn.dev/v1alpha1/namespaces/default/sessions';
const session = JSON.stringify({
  apiVersion: 'sojourn.dev/v1alpha1',
  kind: 'Session',
  metadata: { generateName: 'access-' },
  spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'none' } },
});

describe('access to sessions', () => {
  const env = useCluster();
  before(async () => {
    const runtime = `apiVersion: runtime.agentcube.volcano.sh/v1alpha1
kind: CodeInterpreter
metadata: {name: none, namespace: default}
spec: {authMode: sojourn, template: {image: local/none}}`;
    await env.kubectl(['apply', '-f', '-'], { stdin: runtime });
  });
  after(async () => {
    await env.kubectl(['delete', 'sessions', '--all', '-n', 'default']);
  });

  it('lets alice create and delete, and shows who she is', async () => {
    const created = await env.kubectlAs('alice', ['create', '-f', '-', '-o', 'name'], { stdin: session });
    expect(created.code, created.stderr).to.equal(0);
    const name = created.stdout.trim();
    const shown = await env.kubectlAs('alice', ['get', name, '-o', 'jsonpath={.status.user.username}']);
    expect(shown.stdout).to.equal('alice');
    const deleted = await env.kubectlAs('alice', ['delete', name]);
    expect(deleted.code, deleted.stderr).to.equal(0);
  });

  it('lets bob look and refuses him the rest with a Forbidden that says what is missing', async () => {
    expect((await env.kubectlAs('bob', ['get', 'sessions'])).code).to.equal(0);
    const created = await env.kubectlAs('bob', ['create', '-f', '-'], { stdin: session });
    expect(created.code).to.equal(1);
    expect(created.stderr).to.match(
      /sessions.sojourn.dev is forbidden: User "bob" cannot create resource "sessions" in API group "sojourn.dev" in the namespace "default"/,
    );
    const invoked = await env.kubectlAs('bob', ['create', '--raw', `${collection}/x/proxy/api/execute`, '-f', '-'], {
      stdin: '{}',
    });
    expect(invoked.stderr).to.match(/cannot create resource "sessions\/proxy"/);
    const elsewhere = await env.kubectlAs('bob', ['get', 'sessions', '-A']);
    expect(elsewhere.stderr).to.match(/at the cluster scope/);
  });

  it('keeps session data from a user with all rights on sandboxes', async () => {
    const created = await env.kubectlAs('alice', ['create', '-f', '-', '-o', 'jsonpath={.metadata.name}'], {
      stdin: session,
    });
    const name = created.stdout.trim();
    const rights = [
      'create',
      'role',
      'all-sandboxes',
      '-n',
      'default',
      '--verb=*',
      '--resource=sandboxes.agents.x-k8s.io',
    ];
    await env.kubectl(rights);
    await env.kubectl([
      'create',
      'rolebinding',
      'all-sandboxes',
      '-n',
      'default',
      '--role=all-sandboxes',
      '--user=bob',
    ]);
    try {
      await until('kube-apiserver to know of the rights', async () => {
        const may = await env.kubectlAs('bob', ['auth', 'can-i', '*', 'sandboxes.agents.x-k8s.io', '-n', 'default']);
        return may.code === 0;
      });
      const attempts = [
        ['annotate', 'sandbox', name, 'sojourn.dev/session={}', '--overwrite'],
        ['annotate', 'sandbox', name, 'sojourn.dev/session-'],
        ['annotate', 'sandbox', name, 'sojourn.dev/activity=2030-01-01T00:00:00Z'],
        ['label', 'sandbox', name, 'sojourn.dev/session-'],
        ['label', 'sandbox', name, 'u.sojourn.dev/team=red'],
        ['label', 'sandbox', name, 'x.io.u.sojourn.dev/team=red'],
        ['patch', 'sandbox', name, '--type=merge', '-p', '{"metadata":{"finalizers":["sojourn.dev/orphan"]}}'],
      ];
      for (const attempt of attempts) {
        const { code, stderr } = await env.kubectlAs('bob', attempt);
        expect(code, attempt.join(' ')).to.equal(1);
        expect(stderr).to.match(/is written through sessions\.sojourn\.dev only/);
      }
      const forged = `apiVersion: agents.x-k8s.io/v1beta1
kind: Sandbox
metadata: {name: forged, labels: {sojourn.dev/session: "true"}, annotations: {sojourn.dev/session: "{}"}}
spec: {podTemplate: {spec: {containers: [{name: a, image: local/none}]}}}`;
      expect((await env.kubectlAs('bob', ['create', '-f', '-'], { stdin: forged })).stderr).to.match(
        /sessions\.sojourn\.dev only/,
      );
      const harmless = await env.kubectlAs('bob', ['annotate', 'sandbox', name, 'team=red']);
      expect(harmless.code, harmless.stderr).to.equal(0);
    } finally {
      await env.kubectl(['delete', 'role/all-sandboxes', 'rolebinding/all-sandboxes', '-n', 'default']);
    }
  }).timeout(120_000);

  describe('straight to the API server’s port', () => {
    const forged = { 'x-remote-user': 'admin', 'x-remote-group': 'system:masters' };
    const direct = async (
      credentials: { cert?: string; key?: string },
      headers: Record<string, string>,
      path = collection,
    ): Promise<Answer> =>
      await https({ url: `${env.cluster.apiserverUrl}${path}`, ca: env.ca, headers, ...credentials });
    const read = async ({ cert, key }: CredentialPaths) => ({
      cert: await readFile(cert, 'utf8'),
      key: await readFile(key, 'utf8'),
    });
    const issued = async (authority: CredentialPaths, request: Parameters<typeof issueLeaf>[1]) =>
      await issueLeaf(await read(authority), request);

    it('answers nobody without a certificate, whoever they say they are', async () => {
      const tries: Record<string, string>[] = [{}, forged, { authorization: 'Bearer forged' }];
      for (const headers of tries) {
        const answer = await direct({}, headers);
        expect([answer.status, (JSON.parse(answer.text) as Status).reason]).to.deep.equal([401, 'Unauthorized']);
      }
    });

    it('does not take a client certificate of the cluster for a front proxy', async () => {
      expect((await direct(await read(env.cluster.plane.pki.alice), forged)).status).to.equal(401);
      expect((await direct(await read(env.cluster.plane.pki.admin), forged)).status).to.equal(401);
    });

    it('does not take the front-proxy CA’s word for another name, or for a server', async () => {
      const { frontProxyCa } = env.cluster.plane.pki;
      const other = await issued(frontProxyCa, { commonName: 'somebody', usages: ['client'] });
      expect((await direct(other, forged)).status).to.equal(401);
      const server = await issued(frontProxyCa, { commonName: 'front-proxy-client', usages: ['server'] });
      expect((await direct(server, forged)).status).to.equal(401);
    });

    it('lets the front proxy introduce users, exactly one at a time', async () => {
      const proxy = await read(env.cluster.plane.pki.frontProxyClient);
      expect((await direct(proxy, forged)).status).to.equal(200);
      expect((await direct(proxy, {})).status).to.equal(401);
      const twice = await https({
        url: `${env.cluster.apiserverUrl}${collection}`,
        ca: env.ca,
        ...proxy,
        rawHeaders: ['Host', 'localhost', 'X-Remote-User', 'bob', 'X-Remote-User', 'admin'],
      });
      expect(twice.status).to.equal(401);
      const comma = await direct(proxy, { 'x-remote-user': 'mallory', 'x-remote-group': 'a, system:masters' });
      expect(comma.status).to.equal(403);
    });

    it('says Forbidden before it says whether something exists', async () => {
      const proxy = await read(env.cluster.plane.pki.frontProxyClient);
      const answer = await direct(proxy, { 'x-remote-user': 'mallory' }, `${collection}/no-such-session`);
      expect(answer.status).to.equal(403);
    });

    it('answers health without credentials and discovery with', async () => {
      expect((await direct({}, {}, '/readyz')).text).to.equal('ok');
      expect((await direct({}, {}, '/apis/sojourn.dev/v1alpha1')).status).to.equal(401);
      const proxy = await read(env.cluster.plane.pki.frontProxyClient);
      expect(
        (await direct(proxy, { 'x-remote-user': 'system:kube-aggregator' }, '/apis/sojourn.dev/v1alpha1')).status,
      ).to.equal(200);
    });
  });

  it('serves nothing while the guard is missing, and says why', async () => {
    const policy = 'validatingadmissionpolicybinding/sojourn-session-guard';
    await env.kubectl(['delete', policy]);
    try {
      const answer = await until('the API server to notice', async () => {
        const got = await env.client.requestRaw({ path: collection });
        return got.status === 503 ? got : undefined;
      });
      expect((JSON.parse(answer.body.toString()) as Status).message).to.match(/sojourn-session-guard must bind/);
      const available = await env.kubectl(['get', 'apiservice', 'v1alpha1.sojourn.dev']);
      expect(available.stdout).to.match(/True/);
    } finally {
      await env.kubectl([
        'apply',
        '--server-side',
        '--force-conflicts',
        '-f',
        join(import.meta.dirname, '../../deploy/base/session-guard.yaml'),
      ]);
    }
    await until(
      'sessions to be served again',
      async () => (await env.client.requestRaw({ path: collection })).status === 200,
    );
  });
});
