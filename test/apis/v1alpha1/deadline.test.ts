import { expect } from 'chai';
import fc from 'fast-check';
import { endAfter, flushIntervalMs, type Lifetime, latestEnd, lifetimeOf } from '../../../apis/v1alpha1/deadline.ts';
import { spec } from './samples.ts';

const lifetimes = fc.record<Lifetime>({
  createdAt: fc.integer({ min: 1_600_000_000, max: 4_000_000_000 }).map((seconds) => seconds * 1000),
  idleTimeoutMs: fc.integer({ min: 5_000, max: 30 * 24 * 3_600_000 }),
  maxDurationMs: fc.integer({ min: 5_000, max: 365 * 24 * 3_600_000 }),
  idleAction: fc.constantFrom('Delete', 'Suspend'),
});
const ages = fc.integer({ min: 0, max: 400 * 24 * 3_600_000 });

describe('the deadline of a session', () => {
  it('is the last activity, the idle timeout and the flush interval, but no later than maxDuration', () => {
    const createdAt = Date.parse('2026-11-21T06:30:00Z');
    const end = (age: number, change: object = {}) =>
      new Date(endAfter(lifetimeOf(createdAt, { ...spec, ...change }), createdAt + age)).toISOString();
    expect(end(0)).to.equal('2026-11-21T06:48:45.000Z');
    expect(end(60_001)).to.equal('2026-11-21T06:49:46.000Z');
    expect(end(0, { idleTimeout: '8s' })).to.equal('2026-11-21T06:30:13.000Z');
    expect(end(8 * 3_600_000 - 1)).to.equal('2026-11-21T14:30:00.000Z');
    expect(end(0, { idleAction: 'Suspend' })).to.equal('2026-11-21T14:30:00.000Z');
    expect(end(0, { idleAction: 'Suspend', maxDuration: '90500ms' })).to.equal('2026-11-21T06:31:31.000Z');
  });

  it('is in whole seconds, never before the idle timeout is over and never after maxDuration', () => {
    fc.assert(
      fc.property(lifetimes, ages, (lifetime, age) => {
        const at = lifetime.createdAt + age;
        const end = endAfter(lifetime, at);
        const latest = latestEnd(lifetime);
        expect(end % 1000).to.equal(0);
        expect(end).to.be.at.most(latest);
        expect(latest - (lifetime.createdAt + lifetime.maxDurationMs)).to.be.within(0, 999);
        const idleEnd = at + lifetime.idleTimeoutMs + flushIntervalMs(lifetime);
        if (end < latest) expect(end - idleEnd).to.be.within(0, 1_999);
        if (lifetime.idleAction === 'Suspend') expect(end).to.equal(latest);
      }),
    );
  });

  it('moves forward alone, and follows from the stored time as from the exact one', () => {
    fc.assert(
      fc.property(lifetimes, ages, fc.nat(1_000_000), (lifetime, age, later) => {
        const at = lifetime.createdAt + age;
        expect(endAfter(lifetime, at + later)).to.be.at.least(endAfter(lifetime, at));
        expect(endAfter(lifetime, Math.ceil(at / 1000) * 1000)).to.equal(endAfter(lifetime, at));
      }),
    );
  });

  it('lets activity be written four times in an idle timeout, and not more often than every 5 seconds', () => {
    expect(flushIntervalMs({ idleTimeoutMs: 900_000 })).to.equal(225_000);
    expect(flushIntervalMs({ idleTimeoutMs: 20_000 })).to.equal(5_000);
    expect(flushIntervalMs({ idleTimeoutMs: 5_000 })).to.equal(5_000);
  });
});
