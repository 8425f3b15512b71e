import { expect } from 'chai';
import fc from 'fast-check';
import { DeadlineQueue } from '../../../proxy/invocation/suspension/deadline-queue.ts';
import { until } from '../../support/until.ts';

describe('a queue of deadlines', () => {
  it('calls each key once, in order, at its last deadline', async () => {
    const steps = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), fc.option(fc.nat(1_000))));
    await fc.assert(
      fc.asyncProperty(steps, async (changes) => {
        let now = 0;
        const due: string[] = [];
        const queue = new DeadlineQueue({ now: () => now, onDue: (key) => due.push(key) });
        const expected = new Map<string, number>();
        for (const [key, at] of changes) {
          if (at === null) {
            queue.delete(key);
            expected.delete(key);
          } else {
            queue.set(key, at + 1);
            expected.set(key, at + 1);
          }
        }
        expect(queue.size).to.equal(expected.size);
        now = 2_000;
        queue.set('last', now);
        await until('all of them', () => queue.size === 0);
        const times = due.slice(0, -1).map((key) => expected.get(key) ?? -1);
        expect(due.slice(0, -1).sort()).to.deep.equal([...expected.keys()].sort());
        expect(times).to.deep.equal([...times].sort((a, b) => a - b));
        queue.stop();
      }),
      { numRuns: 20 },
    );
  });

  it('keeps no deadlines that were replaced, however far they are', async () => {
    let now = 0;
    const due: string[] = [];
    const queue = new DeadlineQueue({ now: () => now, onDue: (key) => due.push(key) });
    const held = () => process.memoryUsage().heapUsed;
    globalThis.gc?.();
    const before = held();
    for (let round = 0; round < 2_000_000; round += 1) queue.set(`s-${round % 10}`, 1_000_000 + round);
    expect(held() - before).to.be.lessThan(64 * 1024 * 1024);
    expect(queue.size).to.equal(10);
    now = 4_000_000;
    queue.set('first', 1);
    await until('all of them', () => queue.size === 0);
    expect(due).to.deep.equal(['first', ...Array.from({ length: 10 }, (_item, key) => `s-${key}`)]);
    queue.stop();
  });

  it('has one timer, and room for thousands', async () => {
    const many = 20_000;
    let called = 0;
    let now = 0;
    const queue = new DeadlineQueue({ now: () => now, onDue: () => (called += 1) });
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    for (let key = 0; key < many; key += 1) queue.set(`s-${key}`, 1_000_000 + Math.random());
    expect(timers()).to.be.at.most(before + 1);
    now = 2_000_000;
    queue.set('s-0', 1_000_000);
    await until('all of them', () => called === many);
    queue.stop();
  });
});
