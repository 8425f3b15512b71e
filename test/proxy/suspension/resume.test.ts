import { expect } from 'chai';
import { annotations } from '../../../apis/names.ts';
import { sessionsPath } from '../../support/caller.ts';
import { until } from '../../support/until.ts';
import { useSuspension } from './workplace.ts';

describe('a call to a session that was suspended for being idle', () => {
  const place = useSuspension();
  const generationOf = async (name: string) => (await place.sandbox(name)).metadata.generation ?? 0;

  /** The first of the two writes of a resume while the old Pod is going, and nobody who waits for the second. */
  const unmark = async (name: string) => {
    await place.env.asAccount('sojourn-proxy').request({
      method: 'PATCH',
      path: `/apis/agents.x-k8s.io/v1beta1/namespaces/${place.namespace}/sandboxes/${name}`,
      contentType: 'application/merge-patch+json',
      body: { metadata: { annotations: { [annotations.idleSuspended]: null } } },
    });
  };

  it('resumes it and is answered by its new Pod, which has nothing of the old one', async () => {
    await place.ready('lost');
    expect((await place.run('lost', 'echo kept > file && cat file')).text).to.contain('kept');
    await place.suspend('lost', [place.replica()]);
    const watch = await place.phases('lost');
    const answer = await place.run('lost', 'cat file 2>/dev/null || echo nothing');
    expect(answer.status, answer.text).to.equal(200);
    expect(answer.text).to.contain('nothing');
    await place.phase('lost', 'Ready');
    await until('the watch to show that', () => watch.seen.at(-1) === 'Ready');
    watch.stop();
    expect(watch.seen).to.deep.equal(['Suspended', 'Resuming', 'Ready']);
    const { metadata } = await place.sandbox('lost');
    expect(metadata.annotations).not.to.have.property(annotations.idleSuspended);
    expect(metadata.annotations).to.have.property(annotations.resumed);
    expect(Date.parse(metadata.annotations?.[annotations.activity] ?? '')).to.be.closeTo(Date.now(), 30_000);
    const resumed = await until('the Event of it', async () => {
      const shown = await place.env.kubectl(['events', '--for', 'session/lost', '-n', place.namespace]);
      return shown.stdout.split('\n').find((line) => line.includes('Resumed'));
    });
    expect(resumed).to.match(/Ready again because a call came$/);
  }).timeout(60_000);

  it('resumes it once, however many calls there are through both fronts', async () => {
    await place.ready('many');
    await place.suspend('many', [place.replica()]);
    const before = await generationOf('many');
    const calls = Array.from({ length: 20 }, (_, index) =>
      place.health('many', index % 2 === 0 ? 'proxy' : 'kube-apiserver'),
    );
    for (const answer of await Promise.all(calls)) expect(answer.status, answer.text).to.equal(200);
    expect(await generationOf('many')).to.equal(before + 1);
  }).timeout(60_000);

  it('waits while the old Pod is still there, and never reaches it', async () => {
    await place.ready('going');
    await place.run('going', 'echo old > file');
    const release = await place.holdPod('going');
    const replica = place.replica();
    await place.makeIdle('going', [replica]);
    await place.phase('going', 'Suspending');
    // Whoever takes it away has heard of the suspension by a watch, as the proxy has.
    await place.podGoing('going');
    const call = place.run('going', 'cat file 2>/dev/null || echo nothing');
    await until('the call to be noticed', async () => {
      const { metadata, spec } = await place.sandbox('going');
      return metadata.annotations?.[annotations.idleSuspended] === undefined && spec?.operatingMode === 'Suspended';
    });
    expect((await place.session('going')).status?.phase).to.equal('Resuming');
    await release();
    const answer = await call;
    expect(answer.status, answer.text).to.equal(200);
    expect(answer.text).to.contain('nothing');
    await place.phase('going', 'Ready');
  }).timeout(90_000);

  it('is finished by another process when the one that began dies', async () => {
    await place.ready('begun');
    const release = await place.holdPod('begun');
    const replica = place.replica();
    await place.makeIdle('begun', [replica]);
    await place.phase('begun', 'Suspending');
    await replica.stop();
    await unmark('begun');
    expect((await place.session('begun')).status?.phase).to.equal('Resuming');
    await release();
    await place.phase('begun', 'Ready');
  }).timeout(90_000);

  it('is finished after a restart of everything, from what is stored alone', async () => {
    await place.ready('restarted');
    const replica = place.replica();
    await place.suspend('restarted', [replica]);
    await replica.stop();
    const { env } = place;
    await Promise.all([env.kill('sojourn-apiserver'), env.kill('sojourn-proxy')]);
    await unmark('restarted');
    await Promise.all([env.cluster.sojourn.startApiserver(), env.cluster.sojourn.startProxy()]);
    const path = `${sessionsPath(place.namespace)}/restarted`;
    const isServed = async () => (await env.client.requestRaw({ path })).status === 200;
    await until('sessions to be served', isServed, { deadlineMs: 40_000 });
    await place.phase('restarted', 'Ready');
    const answer = await place.run('restarted', 'echo back');
    expect([answer.status, answer.text.includes('back')], answer.text).to.deep.equal([200, true]);
  }).timeout(150_000);

  it('finds it as before after ten suspensions', async () => {
    await place.ready('often');
    const replica = place.replica();
    for (let cycle = 1; cycle <= 10; cycle += 1) {
      await place.suspend('often', [replica]);
      const answer = await place.run('often', `echo cycle-${cycle}`);
      expect(answer.status, `cycle ${cycle}: ${answer.text}`).to.equal(200);
      expect(answer.text).to.contain(`cycle-${cycle}`);
    }
  }).timeout(240_000);
});
