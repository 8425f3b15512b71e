import { expect } from 'chai';
import type { Session } from '../../../../apis/v1alpha1/types.ts';
import type { TestCluster } from '../../../support/cluster.ts';
import { Pools } from '../../pools/support/pools.ts';
import { Side } from '../support/side.ts';

/** A generated name is `generateName` and five more letters, unless it was another's before. */
export function warmNames(env: TestCluster): void {
  const space = env.namespace('warm-names');
  const pools = new Pools(
    () => env.client,
    () => space.name,
  );

  it('a session that starts warm has the name that its sandbox had, its twin an own one', async () => {
    await pools.createRuntime({ name: 'w', size: 1 });
    const pool = await pools.warm('w', 1);
    const members = (await pools.readyMembers(pool)).map(({ metadata }) => metadata.name);
    const session = await pools.create('w');
    expect(session.status?.start).to.equal('Warm');
    expect(members).to.include(session.metadata.name);
    expect(session.metadata.name).to.match(/^w-[a-z0-9]+-[a-z0-9]{5}$/);

    const side = new Side('twin', { namespace: space.name, name: '' });
    const body = side.manifest({ metadata: { name: undefined, generateName: 'w-' } });
    const twin = await env.client.request<Session>({ method: 'POST', path: side.collection, body });
    expect(twin.metadata.name).to.match(/^w-[a-z0-9]{5}$/);
  }).timeout(90_000);
}
