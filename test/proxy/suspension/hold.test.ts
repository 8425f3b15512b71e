import { expect } from 'chai';
import { annotations } from '../../../apis/names.ts';
import { createSession } from '../../support/caller.ts';
import { until } from '../../support/until.ts';
import { useSuspension } from './workplace.ts';

const held = (suspended: boolean) => ({ spec: { suspended } });

describe('a session that its spec suspends', () => {
  const place = useSuspension();
  const reasonOf = (text: string) => (JSON.parse(text) as { reason?: string }).reason;

  it('loses its Pod, refuses calls, and comes back when the hold is taken away', async () => {
    await place.ready('held', { idleAction: 'Delete' });
    const watch = await place.phases('held');
    const patched = await place.patch('held', held(true));
    expect([patched.status?.phase, patched.metadata.generation]).to.deep.equal(['Suspending', 2]);
    await place.phase('held', 'Suspended');
    for (const front of ['proxy', 'kube-apiserver'] as const) {
      await until(`${front} to see it`, async () => (await place.run('held', 'true', front)).status === 409);
      const answer = await place.run('held', 'true', front);
      expect([answer.status, reasonOf(answer.text)]).to.deep.equal([409, 'SessionSuspended']);
    }
    expect((await place.sandbox('held')).spec?.operatingMode).to.equal('Suspended');
    const released = await place.patch('held', held(false));
    expect(released.status?.phase).to.equal('Resuming');
    await place.phase('held', 'Ready');
    await until('the proxy to see that too', async () => (await place.run('held', 'true')).status === 200);
    const answer = await place.run('held', 'echo back');
    expect([answer.status, answer.text.includes('back')]).to.deep.equal([200, true]);
    await until('the watch to show all', () => watch.seen.at(-1) === 'Ready');
    watch.stop();
    expect(watch.seen).to.deep.equal(['Ready', 'Suspending', 'Suspended', 'Resuming', 'Ready']);
  }).timeout(60_000);

  it('that is let go while its Pod is still going gets its new one after that', async () => {
    await place.ready('hasty');
    const release = await place.holdPod('hasty');
    await place.patch('hasty', held(true));
    await place.phase('hasty', 'Suspending');
    const released = await place.patch('hasty', held(false));
    expect(released.status?.phase).to.equal('Resuming');
    // Until the proxy has heard that the hold is gone, it refuses calls.
    const call = until('the proxy to take a call', async () => {
      const answer = await place.run('hasty', 'echo new');
      return answer.status === 409 ? undefined : answer;
    });
    expect((await place.sandbox('hasty')).spec?.operatingMode).to.equal('Suspended');
    await release();
    const answer = await call;
    expect([answer.status, answer.text.includes('new')]).to.deep.equal([200, true]);
  }).timeout(60_000);

  it('takes the place of the mark of an idle one: nothing but its end brings the session back', async () => {
    await place.ready('both');
    await place.suspend('both', [place.replica()]);
    await place.patch('both', held(true));
    expect((await place.sandbox('both')).metadata.annotations).not.to.have.property(annotations.idleSuspended);
    await until('the hold to be seen', async () => (await place.run('both', 'true')).status === 409);
    expect((await place.session('both')).status?.phase).to.equal('Suspended');
    await place.patch('both', held(false));
    await place.phase('both', 'Ready');
  }).timeout(60_000);

  it('may be created so, and starts when the hold is taken away', async () => {
    await createSession(place.env, place.namespace, { name: 'born', runtime: 'py', spec: { suspended: true } });
    await place.phase('born', 'Suspended');
    const pods = `/api/v1/namespaces/${place.namespace}/pods/born`;
    expect((await place.env.client.requestRaw({ path: pods })).status).to.equal(404);
    await place.patch('born', held(false));
    await place.phase('born', 'Ready');
  }).timeout(60_000);
});
