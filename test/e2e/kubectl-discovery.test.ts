import { expect } from 'chai';
import { sessionsPath } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';
import { until } from '../support/until.ts';

describe('kubectl knows sessions', () => {
  const env = useCluster();
  const space = env.namespace('kubectl-knows');

  const kubectl = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await env.kubectl(['-n', space.name, ...args]);
    expect(code, stderr).to.equal(0);
    return stdout;
  };

  it('among the resources of the cluster', async () => {
    const row = (text: string) =>
      text
        .split('\n')
        .find((line) => line.startsWith('sessions '))
        ?.split(/ +/)
        .filter((cell) => cell !== '');
    expect(row(await kubectl('api-resources', '--api-group=sojourn.dev'))).to.deep.equal([
      'sessions',
      'sess',
      'sojourn.dev/v1alpha1',
      'true',
      'Session',
    ]);
    expect(row(await kubectl('api-resources', '--api-group=sojourn.dev', '-o', 'wide'))?.slice(5)).to.deep.equal([
      'create,delete,deletecollection,get,list,patch,update,watch',
      'all',
    ]);
    expect((await kubectl('api-resources', '--categories=all', '-o', 'name')).split('\n')).to.include(
      'sessions.sojourn.dev',
    );
    expect((await kubectl('api-versions')).split('\n')).to.include('sojourn.dev/v1alpha1');
  });

  it('and explains them', async () => {
    const overview = await kubectl('explain', 'sess');
    expect(overview).to.match(/^GROUP: {6}sojourn\.dev\nKIND: {7}Session\nVERSION: {4}v1alpha1\n\nDESCRIPTION:\n/);
    for (const field of ['metadata\t<ObjectMeta>', 'spec\t<Object> -required-', 'status\t<Object>'])
      expect(overview).to.contain(field);
    const spec = await kubectl('explain', 'session.spec');
    expect(spec).to.contain('runtimeRef\t<Object> -required-').and.contain('enum: Delete, Suspend');
    expect(await kubectl('explain', 'session.spec.runtimeRef.kind')).to.match(
      /ENUM:\n +AgentRuntime\n +CodeInterpreter\n/,
    );
    expect(await kubectl('explain', 'session.metadata.labels')).to.contain('Map of string keys and values');
  });

  it('and explains them whole', async () => {
    const text = await kubectl('explain', 'session', '--recursive');
    for (const field of [
      'idleTimeout',
      'maxDuration',
      'suspended',
      'conditions',
      'lastActivityTime',
      'endpoints',
      'managedFields',
    ]) {
      expect(text).to.match(new RegExp(`\\n +${field}\\t<`));
    }
  });

  it('describes one with its Events', async () => {
    const body = {
      apiVersion: 'sojourn.dev/v1alpha1',
      kind: 'Session',
      metadata: { name: 'told' },
      spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'none' }, suspended: true },
    };
    await env.client.request({ method: 'POST', path: sessionsPath(space.name), body });
    const text = await until('the Event of the creation', async () => {
      const described = await kubectl('describe', 'session', 'told');
      return described.includes('Created') ? described : undefined;
    });
    expect(text).to.match(/^Name: {9}told\nNamespace: {4}kubectl-knows-/);
    expect(text).to.match(/\nAPI Version: {2}sojourn\.dev\/v1alpha1\nKind: {9}Session\n/);
    expect(text).to.match(/\nSpec:\n {2}Idle Action: +Delete\n/);
    expect(text).to.match(/\n {2}Runtime Ref:\n {4}Kind: +CodeInterpreter\n {4}Name: +none\n/);
    expect(text).to.match(/\nEvents:\n {2}Type +Reason +Age +From +Message\n/);
    expect(text).to.match(/\n {2}Normal +Created +\S+.* for admin/);
  });

  it('and says who may do what with them', async () => {
    const can = async (person: 'alice' | 'bob', ...args: string[]) =>
      (await env.kubectlAs(person, ['auth', 'can-i', ...args, '-n', 'default'])).stdout.trim();
    expect(await can('alice', 'create', 'sessions')).to.equal('yes');
    expect(await can('alice', 'create', 'sessions/proxy')).to.equal('yes');
    expect(await can('bob', 'list', 'sess')).to.equal('yes');
    expect(await can('bob', 'create', 'sessions.sojourn.dev')).to.equal('no');
    expect(await can('bob', 'list', 'sessions', '--all-namespaces')).to.equal('no');
  });

  it('lists across namespaces only for those who may', async () => {
    const all = await env.kubectlAs('bob', ['get', 'sessions', '-A']);
    expect(all.code).to.equal(1);
    expect(all.stderr).to.equal(
      'Error from server (Forbidden): sessions.sojourn.dev is forbidden: User "bob" cannot list resource "sessions" in API group "sojourn.dev" at the cluster scope\n',
    );
    expect((await env.kubectlAs('bob', ['get', 'sessions', '-n', 'default'])).code).to.equal(0);
  });
});
