import { expect } from 'chai';
import { AuditTail } from '../../hack/cluster/audit-tail.ts';
import type { KubectlResult } from '../../hack/cluster/kubectl.ts';
import { sessionsPath } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';

describe('kubectl wait', () => {
  const env = useCluster();
  const space = env.namespace('kubectl-wait');

  const run = (...args: string[]): Promise<KubectlResult> => env.kubectl(['-n', space.name, ...args]);
  const wait = (...args: string[]): Promise<KubectlResult> => run('wait', ...args, '--timeout=40s');

  async function create(name: string, suspended = false): Promise<void> {
    const body = {
      apiVersion: 'sojourn.dev/v1alpha1',
      kind: 'Session',
      metadata: { name, labels: { name } },
      spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'none' }, suspended },
    };
    await env.client.request({ method: 'POST', path: sessionsPath(space.name), body });
  }
  const met = (name: string) => ({ code: 0, stdout: `session.sojourn.dev/${name} condition met\n`, stderr: '' });

  it('waits for a condition, a phase and a deletion', async () => {
    await create('one');
    expect(await wait('session/one', '--for=condition=Ready')).to.deep.equal(met('one'));
    expect(await wait('sess', 'one', '--for=jsonpath={.status.phase}=Ready')).to.deep.equal(met('one'));
    const hold = ['patch', 'sess', 'one', '--type=merge', '-p', '{"spec":{"suspended":true}}'];
    const suspended = wait('session/one', '--for=condition=Suspended');
    expect((await run(...hold)).stdout).to.equal('session.sojourn.dev/one patched\n');
    expect(await suspended).to.deep.equal(met('one'));
    const audit = await AuditTail.open(env.cluster.plane.dir);
    const gone = wait('session/one', '--for=delete');
    // kubectl says nothing of a session that is gone before it has looked for the first time.
    await audit.readUntil('kubectl to look', ({ verb, objectRef }) => {
      return verb === 'get' && objectRef?.resource === 'sessions' && objectRef.namespace === space.name;
    });
    expect((await run('delete', 'sess', 'one')).stdout).to.contain('session.sojourn.dev "one" deleted');
    expect(await gone).to.deep.equal(met('one'));
  }).timeout(90_000);

  it('waits for a creation', async () => {
    const created = wait('session/two', '--for=create');
    await create('two', true);
    expect(await created).to.deep.equal(met('two'));
  });

  it('waits for all that labels select', async () => {
    await create('three', true);
    const { code, stdout } = await wait('sess', '-l', 'name in (three)', '--for=jsonpath={.status.phase}=Suspended');
    expect([code, stdout]).to.deep.equal([0, 'session.sojourn.dev/three condition met\n']);
  });

  it('gives up when the time is over', async () => {
    await create('four', true);
    const { code, stderr } = await run('wait', 'session/four', '--for=condition=Ready', '--timeout=1s');
    expect([code, stderr]).to.deep.equal([1, 'error: timed out waiting for the condition on sessions/four\n']);
  });

  it('says what there is not', async () => {
    const { code, stderr } = await wait('session/nobody', '--for=condition=Ready');
    expect([code, stderr]).to.deep.equal([
      1,
      'Error from server (NotFound): sessions.sojourn.dev "nobody" not found\n',
    ]);
  });
});
