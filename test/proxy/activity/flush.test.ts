import { expect } from 'chai';
import { annotations } from '../../../apis/names.ts';
import { type SessionRecord, toSessionRecord } from '../../../proxy/invocation/session-record.ts';
import { until } from '../../support/until.ts';
import { LaggingReplica, TestClock } from './replica.ts';
import { useActivity } from './workplace.ts';

const idleMs = 20_000;
const intervalMs = 5_000;
/** Of sessions whose first activity is to be written at once. */
const overdue = () => Date.now() - intervalMs - 2_000;

describe('the activity of a session', () => {
  const env = useActivity();

  it('is stored with the deadline that follows from it, in one write', async () => {
    await env.create('stored', { createdAt: overdue() });
    const replica = env.replica();
    const record = await replica.record(env.namespace, 'stored');
    const before = await env.stored('stored');
    const calledAt = Date.now();
    await replica.call(record);
    const after = await until('the flush', async () => {
      const now = await env.stored('stored');
      return now.activityAt === undefined ? undefined : now;
    });
    expect(after.activityAt).to.be.within(calledAt, Date.now() + 1_000);
    expect(after.endsAt).to.equal((after.activityAt ?? 0) + idleMs + intervalMs);
    expect(after.endsAt).to.be.above(before.endsAt);
    expect(after.generation).to.equal(before.generation + 1);
    await until('the count', async () => (await replica.flushes('written')) === 1);
    const session = await until('the watch to show it', () => {
      const seen = replica.get(env.namespace, 'stored')?.session;
      return seen?.status?.lastActivityTime === undefined ? undefined : seen;
    });
    expect(Date.parse(session.status?.lastActivityTime ?? '')).to.equal(after.activityAt);
    await until('the tracker to forget what is stored', () => replica.tracker.size === 0);
  });

  it('is written some time after the last call, though no other call follows', async () => {
    await env.create('trailing', { createdAt: overdue() });
    const clock = new TestClock();
    const replica = env.replica(clock);
    const record = await replica.record(env.namespace, 'trailing');
    clock.halt();
    await replica.call(record);
    const first = await until('the first flush', async () => (await env.stored('trailing')).activityAt);
    clock.set(first + 1);
    await replica.call(record);
    expect((await env.stored('trailing')).activityAt).to.equal(first);
    clock.advance(2 * intervalMs);
    const last = await until('the last activity to be stored', async () => {
      const { activityAt } = await env.stored('trailing');
      return activityAt === first ? undefined : activityAt;
    });
    expect(last).to.equal(first + 1_000);
  });

  it('is kept up by calls that wait for its start, but neither if it is slow nor if something keeps it from running', async () => {
    const wait = async (name: string, createdAt: number, change: Partial<SessionRecord> = {}) => {
      await env.create(name, { createdAt, spec: { idleTimeout: '2m' } });
      const stored = await env.stored(name);
      const record = toSessionRecord(stored.sandbox);
      // The node that these Pods wait for is not there, so a session that starts is one whose scheduler has not said so yet.
      const session = { ...record.session, status: { ...record.session.status, conditions: [] } };
      const replica = env.add(new LaggingReplica(env.client, { ...record, session, ...change }));
      return { tracker: replica.tracker, lease: replica.tracker.wait({ ...record, session, ...change }) };
    };
    const failure = { reason: 'ImagePullBackOff', message: '', final: false, podUid: '' };
    const waiting = await wait('starting', Date.now() - 35_000);
    const slow = await wait('slow', Date.now() - 61_000);
    const broken = await wait('broken', Date.now() - 35_000, { failure });
    const kept = await until('the deadline to be moved', async () => (await env.stored('starting')).activityAt);
    expect(kept).to.be.closeTo(Date.now(), 20_000);
    for (const { tracker, lease } of [waiting, slow, broken]) {
      lease.end();
      await tracker.stop();
    }
    for (const name of ['slow', 'broken']) expect((await env.stored(name)).activityAt, name).to.equal(undefined);
  });

  it('costs no request while there is nothing to write, however many calls there are', async () => {
    await env.create('busy', { spec: { idleTimeout: '15m0s' } });
    const replica = env.replica();
    const record = await replica.record(env.namespace, 'busy');
    for (let call = 0; call < 10_000; call += 1) {
      const lease = replica.tracker.begin(record);
      expect(lease).not.to.be.instanceOf(Promise);
      (await lease).end();
    }
    expect(replica.tracker.size).to.equal(1);
    for (const outcome of ['written', 'conflict', 'failed']) {
      expect(await replica.flushes(outcome), outcome).to.equal(0);
    }
  });

  it('is written at most four times in an idle timeout by two replicas together', async () => {
    const windows = 6;
    const stepMs = 500;
    await env.create('two', {});
    const clock = new TestClock();
    clock.halt();
    const replicas = [env.replica(clock), env.replica(clock)];
    const writes: number[] = [];
    let written: string | undefined;
    replicas[0]?.onChange(() => {
      const at = replicas[0]?.get(env.namespace, 'two')?.session.status?.lastActivityTime;
      if (at !== undefined && at !== written) writes.push(clock.now());
      written = at;
    });
    await Promise.all(replicas.map((replica) => replica.record(env.namespace, 'two')));
    const first = await env.stored('two');
    for (let simulated = 0; simulated < windows * idleMs; simulated += stepMs) {
      clock.advance(stepMs);
      for (const replica of replicas) await replica.call(await replica.record(env.namespace, 'two'));
      const { sandbox } = await env.stored('two');
      const newest = sandbox.metadata.resourceVersion;
      await until('the replicas to see what is stored', () =>
        replicas.every(
          (replica) =>
            BigInt(replica.get(env.namespace, 'two')?.session.metadata.resourceVersion ?? 0) >= BigInt(newest ?? 0),
        ),
      );
    }
    const last = await env.stored('two');
    expect(last.generation - first.generation).to.be.within(windows * 2, windows * 4 + 1);
    expect(clock.now() - (last.activityAt ?? 0)).to.be.below(2 * intervalMs);
    // What is seen of a write is a few steps of the clock late at most.
    for (const [index, at] of writes.entries()) {
      const fifth = writes[index + 4];
      if (fifth !== undefined) expect(fifth - at).to.be.at.least(idleMs - 4 * stepMs);
    }
    // The last one may still be on its way.
    await until('the writes to be counted', async () => {
      const shares = await Promise.all(replicas.map((replica) => replica.flushes('written')));
      const { generation } = await env.stored('two');
      return (shares[0] ?? 0) + (shares[1] ?? 0) === generation - first.generation;
    });
  });

  it('is not written sooner by another replica because what was stored was old already', async () => {
    await env.create('spaced', {});
    const clock = new TestClock();
    clock.halt();
    const [first, second] = [env.replica(clock), env.replica(clock)];
    const record = await first.record(env.namespace, 'spaced');
    await second.record(env.namespace, 'spaced');
    const before = await env.stored('spaced');
    await first.call(record);
    clock.advance(intervalMs + 1_000);
    // Any change of the session makes a replica look at its clock again.
    await env.foreignWrite('spaced');
    const seenBySecond = await until('the other replica to see the flush', () => {
      const seen = second.get(env.namespace, 'spaced');
      return seen?.session.status?.lastActivityTime === undefined ? undefined : seen;
    });
    clock.advance(500);
    await second.call(seenBySecond);
    clock.advance(intervalMs);
    await second.call(seenBySecond);
    await until('its own flush', async () => (await second.flushes('written')) > 0);
    const after = await env.stored('spaced');
    expect(after.activityAt).to.be.at.least(clock.now() - 1_000);
    expect(after.generation - before.generation).to.equal(2);
  });

  it('survives a foreign write in between, and leaves that alone', async () => {
    await env.create('foreign', { createdAt: overdue() });
    const record = await env.replica().record(env.namespace, 'foreign');
    await env.foreignWrite('foreign');
    const lagging = env.add(new LaggingReplica(env.client, record));
    (await lagging.tracker.begin(record)).end();
    const after = await until('the flush', async () => {
      const now = await env.stored('foreign');
      return now.activityAt === undefined ? undefined : now;
    });
    expect(after.sandbox.metadata.annotations).to.include({ 'example.com/note': 'foreign' });
    expect(await lagging.flushes('conflict')).to.be.at.least(1);
    await until('the count', async () => (await lagging.flushes('written')) === 1);
  });

  it('does not overwrite a newer one, or move a deadline back', async () => {
    await env.create('newer', { createdAt: overdue() });
    const record = await env.replica().record(env.namespace, 'newer');
    const ahead = Math.ceil(Date.now() / 1000) * 1000 + 20_000;
    const endsAt = ahead + 600_000;
    await env.sessions.patch('newer', {
      metadata: { annotations: { [annotations.activity]: new Date(ahead).toISOString() } },
      spec: { shutdownTime: new Date(endsAt).toISOString().replace('.000', '') },
    });
    const before = await env.stored('newer');
    const lagging = env.add(new LaggingReplica(env.client, record));
    (await lagging.tracker.begin(record)).end();
    await until('the flush to be given up', async () => (await lagging.flushes('superseded')) === 1);
    const after = await env.stored('newer');
    expect(after.activityAt).to.equal(ahead);
    expect([after.endsAt, after.generation]).to.deep.equal([endsAt, before.generation]);
    expect(await lagging.flushes('written')).to.equal(0);

    const clock = new TestClock(60_000);
    const later = env.add(new LaggingReplica(env.client, record, clock));
    (await later.tracker.begin(record)).end();
    const moved = await until('a still newer one to be stored', async () => {
      const now = await env.stored('newer');
      return now.activityAt === ahead ? undefined : now;
    });
    expect([moved.endsAt, moved.generation]).to.deep.equal([endsAt, before.generation]);
  });

  it('is kept from a session that is suspended when idle: its deadline is its maxDuration', async () => {
    await env.create('suspend', { createdAt: overdue(), spec: { idleAction: 'Suspend' } });
    const replica = env.replica();
    const record = await replica.record(env.namespace, 'suspend');
    const before = await env.stored('suspend');
    await replica.call(record);
    await until('the flush', async () => (await env.stored('suspend')).activityAt);
    expect((await env.stored('suspend')).endsAt).to.equal(before.endsAt);
  });

  it('is written when the process stops, if it is newer than what is stored', async () => {
    await env.create('stopped', { spec: { idleTimeout: '10m0s' } });
    const replica = env.replica();
    const record = await replica.record(env.namespace, 'stopped');
    const other = env.replica();
    await other.record(env.namespace, 'stopped');
    const before = await env.stored('stopped');
    const calledAt = Date.now();
    await replica.call(record);
    const overAt = Date.now();
    expect((await env.stored('stopped')).activityAt).to.equal(undefined);
    await replica.tracker.stop();
    const after = await env.stored('stopped');
    expect(after.activityAt).to.be.within(calledAt, overAt + 1_000);
    expect(after.endsAt).to.equal((after.activityAt ?? 0) + 600_000 + 150_000);
    expect(after.generation).to.equal(before.generation + 1);
    expect(replica.tracker.size).to.equal(0);
    (await replica.tracker.begin(record)).end();
    expect(replica.tracker.size).to.equal(0);
    await other.tracker.stop();
    const last = await env.stored('stopped');
    expect([last.activityAt, last.generation]).to.deep.equal([after.activityAt, after.generation]);
  });

  it('is forgotten with its session', async () => {
    await env.create('forgotten', {});
    const replica = env.replica();
    const record = await replica.record(env.namespace, 'forgotten');
    const lease = await replica.tracker.begin(record);
    expect(replica.tracker.size).to.equal(1);
    await env.sessions.delete('forgotten');
    await until('the tracker to forget it', () => replica.tracker.size === 0);
    lease.end();
    lease.end();
    expect(replica.tracker.size).to.equal(0);
  });

  it('is not carried over to the next session of the name', async () => {
    await env.create('again', {});
    const replica = env.replica();
    const old = await replica.record(env.namespace, 'again');
    await replica.call(old);
    await env.sessions.delete('again');
    await until('the session to go', () => replica.get(env.namespace, 'again') === undefined);
    await env.create('again', { createdAt: overdue() });
    const record = await replica.record(env.namespace, 'again');
    expect(record.sandboxUid).not.to.equal(old.sandboxUid);
    await replica.call(old);
    expect(replica.tracker.size).to.equal(0);
    await replica.call(record);
    await until('the flush', async () => (await replica.flushes('written')) === 1);
    expect((await env.stored('again')).activityAt).to.be.a('number');
  });
});
