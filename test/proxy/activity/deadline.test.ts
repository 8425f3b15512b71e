import { expect } from 'chai';
import { ApiError } from '../../../apis/machinery/errors.ts';
import { until } from '../../support/until.ts';
import { CuttableLink } from './cuttable-link.ts';
import { LaggingReplica, Replica, TestClock } from './replica.ts';
import { readStored } from './stored-session.ts';
import { useActivity } from './workplace.ts';

const endMs = 25_000;

/** The error of a call that is not to be. */
async function refusal(call: unknown): Promise<ApiError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error('the call was let through');
}

describe('the end of a session', () => {
  const env = useActivity();
  const gone = async (name: string) => (await readStored(env.client, env.namespace, name)) === undefined;

  it('is moved before a call begins when only seconds are left, once for all calls', async () => {
    await env.create('seconds', {});
    const clock = new TestClock();
    const replica = env.replica(clock);
    const record = await replica.record(env.namespace, 'seconds');
    const before = await env.stored('seconds');
    clock.halt();
    clock.set(before.endsAt - 3_000);
    const calls = Array.from({ length: 50 }, () => replica.tracker.begin(record));
    for (const call of calls) expect(call).to.be.instanceOf(Promise);
    const leases = await Promise.all(calls.map(async (call) => await call));
    const after = await env.stored('seconds');
    expect(after.endsAt).to.be.within(before.endsAt - 3_000 + endMs, before.endsAt + endMs);
    expect(after.generation).to.equal(before.generation + 1);
    expect(replica.tracker.begin(record)).not.to.be.instanceOf(Promise);
    for (const lease of leases) lease.end();
  });

  it('is 410 for a call that comes after the idle timeout, with time and reason', async () => {
    await env.create('idle', { spec: { idleTimeout: '15m0s', maxDuration: '8h0m0s' } });
    const replica = env.replica(new TestClock(3_600_000));
    const record = await replica.record(env.namespace, 'idle');
    const { endsAt } = await env.stored('idle');
    const error = await refusal(replica.tracker.begin(record));
    expect([error.reason, error.code]).to.deep.equal(['Gone', 410]);
    const time = new Date(endsAt).toISOString().replace('.000', '');
    expect(error.message).to.equal(
      `the session ended at ${time} because it was idle for longer than its idleTimeout of 15m0s (IdleTimeout); create a new one`,
    );
    expect(replica.tracker.size).to.equal(0);
    await replica.tracker.stop();
    const after = await env.stored('idle');
    expect([after.activityAt, after.endsAt]).to.deep.equal([undefined, endsAt]);
  });

  it('is 410 for a call that comes after maxDuration, and is not moved before that', async () => {
    await env.create('max', { createdAt: Date.now() - 10_000, spec: { idleTimeout: '10m0s', maxDuration: '10m0s' } });
    const clock = new TestClock();
    const replica = env.replica(clock);
    const record = await replica.record(env.namespace, 'max');
    const before = await env.stored('max');
    clock.set(before.endsAt - 2_000);
    const lease = replica.tracker.begin(record);
    expect(lease).not.to.be.instanceOf(Promise);
    (await lease).end();
    clock.set(before.endsAt);
    const error = await refusal(replica.tracker.begin(record));
    expect(error.reason).to.equal('Gone');
    expect(error.message).to.match(/ because its maxDuration of 10m0s was over \(MaxDuration\); create a new one$/);
    expect((await env.stored('max')).endsAt).to.equal(before.endsAt);
  });

  it('is what is stored, not what a watch that lags behind has shown', async () => {
    await env.create('moved', {});
    const record = await env.replica().record(env.namespace, 'moved');
    const { endsAt } = await env.stored('moved');
    const clock = new TestClock();
    clock.halt();
    clock.set(endsAt - 10_000);
    await env.replica(clock).call(record);
    await until('the other replica to move the deadline', async () => (await env.stored('moved')).endsAt > endsAt);
    clock.set(endsAt + 1_000);
    const lagging = env.add(new LaggingReplica(env.client, record, clock));
    (await lagging.tracker.begin(record)).end();
    await env.sessions.delete('moved');
    clock.set(endsAt - 1_000);
    expect((await refusal(env.add(new LaggingReplica(env.client, record, clock)).tracker.begin(record))).code).to.equal(
      404,
    );
    clock.set(endsAt + 1_000);
    expect((await refusal(env.add(new LaggingReplica(env.client, record, clock)).tracker.begin(record))).code).to.equal(
      410,
    );
    clock.set(endsAt - 10_000);
    const early = env.add(new LaggingReplica(env.client, record, clock));
    expect(early.tracker.begin(record)).not.to.be.instanceOf(Promise);
  });

  it('may have come when moving it took too long: 503, to be tried again', async () => {
    let tries = 0;
    // A write of the controller's in between would have it decided anew; then the next session shows it.
    const error = await until('an attempt that nobody came before', async () => {
      tries += 1;
      const name = `late-${tries}`;
      await env.create(name, {});
      const clock = new TestClock();
      const replica = env.replica(clock);
      await env.sessions.makeReady(name);
      const record = await until('the session to be ready', () => {
        const seen = replica.get(env.namespace, name);
        return seen?.session.status?.phase === 'Ready' ? seen : undefined;
      });
      const { endsAt } = await env.stored(name);
      clock.set(endsAt - 1_000);
      const call = replica.tracker.begin(record);
      clock.set(endsAt + 1_000);
      const refused = await refusal(call);
      if ((await replica.flushes('conflict')) > 0) return undefined;
      await replica.call(record);
      return refused;
    });
    expect([error.reason, error.code, error.retryAfterSeconds]).to.deep.equal(['ServiceUnavailable', 503, 2]);
  });

  it('comes by the controller when nobody calls, and not while a stream is open', async () => {
    const replica = env.replica();
    // The time of the two others runs from their creation, so the replica must have read its first list before.
    await env.create('known', {});
    await replica.record(env.namespace, 'known');
    const begin = async (name: string) => {
      // Not a timeout that the API server would accept, so that the test need not wait for long.
      await env.create(name, { spec: { idleTimeout: '1s' } });
      return await replica.tracker.begin(await replica.record(env.namespace, name));
    };
    const stream = await begin('open');
    (await begin('quiet')).end();
    const began = Date.now();
    await until('the quiet session to be deleted', async () => await gone('quiet'));
    expect(Date.now() - began).to.be.above(1_000);
    await until('its timeout to be over twice for the other one', () => Date.now() - began > 8_000);
    const open = await env.stored('open');
    expect(open.endsAt).to.be.above(Date.now());
    expect(open.sandbox.metadata.deletionTimestamp).to.equal(undefined);
    stream.end();
  });

  it('waits for activity that could not be written while kube-apiserver was away', async () => {
    await env.create('outage', { createdAt: Date.now() - 7_000 });
    const link = env.add(await CuttableLink.to(env.client.server));
    const client = await env.clientAt(`https://127.0.0.1:${link.port}`);
    const replica = env.add(new Replica(client));
    const record = await replica.record(env.namespace, 'outage');
    link.cut();
    const calledAt = Date.now();
    await replica.call(record);
    await until('a flush to fail', async () => (await replica.flushes('failed')) > 0);
    expect(replica.tracker.size).to.equal(1);
    expect((await env.stored('outage')).activityAt).to.equal(undefined);
    await link.mend();
    const activityAt = await until('the activity to be stored', async () => (await env.stored('outage')).activityAt);
    expect(activityAt).to.be.within(calledAt, Date.now() + 1_000);
    await until('the count', async () => (await replica.flushes('written')) === 1);
  });

  it('is neither moved nor declared without kube-apiserver: 503', async () => {
    await env.create('unknown', {});
    const link = env.add(await CuttableLink.to(env.client.server));
    const client = await env.clientAt(`https://127.0.0.1:${link.port}`);
    const clock = new TestClock();
    const replica = env.add(new Replica(client, clock));
    const record = await replica.record(env.namespace, 'unknown');
    const { endsAt } = await env.stored('unknown');
    link.cut();
    for (const at of [endsAt - 2_000, endsAt + 2_000]) {
      clock.set(at);
      const error = await refusal(replica.tracker.begin(record));
      expect([error.reason, error.retryAfterSeconds]).to.deep.equal(['ServiceUnavailable', 1]);
    }
  });
});
