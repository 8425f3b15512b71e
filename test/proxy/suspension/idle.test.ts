import { expect } from 'chai';
import { annotations } from '../../../apis/names.ts';
import { type AuditEvent, AuditTail } from '../../../hack/cluster/audit-tail.ts';
import { until } from '../../support/until.ts';
import { TestClock } from '../activity/replica.ts';
import { useSuspension } from './workplace.ts';

describe('an idle session with idleAction Suspend', () => {
  const place = useSuspension();

  it('is suspended by one write of two replicas, which leaves its spec alone', async () => {
    await place.ready('idle');
    const clock = new TestClock();
    const replicas = [place.replica(clock), place.replica(clock)];
    const before = await place.sandbox('idle');
    const audit = await AuditTail.open(place.env.cluster.plane.dir);
    const watch = await place.phases('idle');
    await place.suspend('idle', replicas);
    await until('the watch to show that', () => watch.seen.at(-1) === 'Suspended');
    watch.stop();
    expect(watch.seen).to.deep.equal(['Ready', 'Suspending', 'Suspended']);
    const after = await place.sandbox('idle');
    expect(after.metadata.generation).to.equal((before.metadata.generation ?? 0) + 1);
    expect(after.spec?.operatingMode).to.equal('Suspended');
    expect(after.metadata.annotations?.[annotations.session]).to.equal(
      before.metadata.annotations?.[annotations.session],
    );
    expect(Date.parse(after.metadata.annotations?.[annotations.idleSuspended] ?? '')).to.be.closeTo(
      clock.now(),
      60_000,
    );
    expect(after.spec?.shutdownTime).to.equal(before.spec?.shutdownTime);
    await place.patch('idle', { metadata: { labels: { seen: 'yes' } } });
    const isPatch = ({ verb, objectRef }: AuditEvent) =>
      verb === 'patch' && objectRef?.namespace === place.namespace && objectRef.name === 'idle';
    const by = (account: string) => (event: AuditEvent) =>
      isPatch(event) && event.objectRef?.resource === 'sandboxes' && event.user.username.endsWith(account);
    const requests = await audit.readUntil('the label', by(':sojourn-apiserver'));
    const writes = requests.filter((event) => by(':sojourn-proxy')(event) && event.responseStatus?.code === 200);
    expect(writes.length).to.equal(1);
    const session = await place.session('idle');
    expect(session.status?.addresses).to.equal(undefined);
    expect(session.status?.conditions?.find(({ type }) => type === 'Suspended')).to.include({
      status: 'True',
      reason: 'PodTerminated',
    });
    const waited = await place.env.kubectl([
      'wait',
      '-n',
      place.namespace,
      '--for=condition=Suspended',
      'session/idle',
      '--timeout=30s',
    ]);
    expect(waited.code, waited.stderr).to.equal(0);
  }).timeout(60_000);

  it('is suspended soon when its timeout is shortened, but not while it is in use', async () => {
    await Promise.all([place.ready('shortened'), place.ready('busy')]);
    const call = place.run('busy', 'sleep 16; echo done');
    const spec = { idleTimeout: '5s' };
    await Promise.all(['shortened', 'busy'].map(async (name) => await place.patch(name, { spec })));
    await place.phase('shortened', 'Suspended');
    expect((await place.session('busy')).status?.phase).to.equal('Ready');
    const answer = await call;
    expect(answer.status, answer.text).to.equal(200);
    expect(answer.text).to.contain('done');
  }).timeout(120_000);

  it('with idleAction Delete is not, until its idleAction is changed', async () => {
    const created = await place.ready('changed', { idleAction: 'Delete' });
    const latest = Date.parse(created.metadata.creationTimestamp ?? '') + 8 * 3_600_000;
    expect(Date.parse(created.status?.expirationTime ?? '')).to.be.below(latest);
    const replica = place.replica();
    await replica.sees(place.namespace, 'changed');
    const changed = await place.patch('changed', { spec: { idleAction: 'Suspend' } });
    expect(Date.parse(changed.status?.expirationTime ?? '')).to.equal(latest);
    await until('the replica to see it', async () => (await place.session('changed')).spec.idleAction === 'Suspend');
    await place.suspend('changed', [replica]);
    const back = await place.patch('changed', { spec: { idleAction: 'Delete' } });
    expect(Date.parse(back.status?.expirationTime ?? '')).to.be.below(latest);
    expect(back.status?.phase).to.equal('Suspended');
  }).timeout(60_000);
});
