import { expect } from 'chai';
import { array, assert, constantFrom, integer, property, record } from 'fast-check';
import { comparePools, type PoolRecord } from '../../../apis/v1alpha1/pool-record.ts';
import { type KnownPool, planPools } from '../../../apiserver/pools/pool-plan.ts';

const now = Date.parse('2026-11-21T12:00:00Z');

function desired(change: Partial<Omit<PoolRecord, 'runtime'>> & { generation?: number } = {}): PoolRecord {
  const { generation = 1, ...rest } = change;
  return {
    runtime: { uid: 'u', generation },
    ...{ templateFormat: 1, keyGeneration: 1, templateHash: 'a', size: 2 },
    ...rest,
  };
}

function pool(name: string, made: PoolRecord, state: Partial<KnownPool> = {}): KnownPool {
  return {
    ...{ name, uid: name, resourceVersion: '1', record: made, replicas: made.size },
    ...{ ready: made.size, createdAt: now - 1000, hasTemplate: true, ...state },
  };
}

const summary = (want: PoolRecord, pools: KnownPool[], at = now) => {
  const { current, step, remove, recheckAfterMs } = planPools(want, pools, at);
  return {
    current: current?.name,
    step: step?.kind,
    remove: remove.map(({ name }) => name),
    ...(recheckAfterMs === undefined ? {} : { recheckAfterMs }),
  };
};

describe('the plan for the pools of a runtime', () => {
  it('makes one when there is none, and leaves one that is right alone', () => {
    expect(summary(desired(), [])).to.deep.equal({ current: undefined, step: 'create', remove: [] });
    expect(summary(desired(), [pool('a', desired())])).to.deep.equal({ current: 'a', step: undefined, remove: [] });
  });

  it('adds a template that is missing', () => {
    const half = pool('a', desired(), { hasTemplate: false, ready: 0 });
    expect(summary(desired(), [half])).to.include({ current: 'a', step: 'addTemplate' });
  });

  it('keeps a pool whose sandboxes stay the same, and lets it grow, but never shrink', () => {
    const old = pool('a', desired());
    expect(summary(desired({ generation: 2 }), [old])).to.include({ step: 'renew' });
    expect(summary(desired({ generation: 2, size: 5 }), [old])).to.include({ step: 'renew' });
    expect(summary(desired({ generation: 2, size: 1 }), [old])).to.include({ step: 'create' });
  });

  it('makes a new one for another template, and removes the old one when the new one can do its work', () => {
    const want = desired({ generation: 2, templateHash: 'b' });
    const old = pool('a', desired());
    expect(summary(want, [old])).to.deep.equal({ current: 'a', step: 'create', remove: [] });
    const filling = pool('b', want, { ready: 0 });
    expect(summary(want, [old, filling])).to.deep.equal({
      ...{ current: 'b', step: undefined, remove: [] },
      recheckAfterMs: 59_000,
    });
    expect(summary(want, [old, { ...filling, ready: 1 }])).to.deep.include({ current: 'b', remove: ['a'] });
    expect(summary(want, [old, filling], now + 59_000), 'after a minute').to.deep.include({ remove: ['a'] });
  });

  it('leaves a greater pool of a newer version or key alone, and still removes the smaller ones', () => {
    const newer = pool('b', desired({ templateFormat: 2, templateHash: 'b' }));
    expect(summary(desired(), [pool('a', desired()), newer])).to.deep.equal({
      ...{ current: 'b', step: undefined, remove: ['a'] },
    });
    const newerKey = pool('c', desired({ keyGeneration: 2, templateHash: 'c' }), { ready: 0 });
    expect(summary(desired({ templateFormat: 2, templateHash: 'b' }), [newer, newerKey])).to.deep.include({
      ...{ current: 'c', step: undefined, remove: [] },
    });
  });

  it('keeps of equal pools the one that is like the runtime now', () => {
    const old = pool('a', desired());
    const want = desired({ templateHash: 'b' });
    expect(summary(want, [old])).to.include({ step: 'create' });
    expect(summary(want, [old, pool('b', want)])).to.deep.equal({ current: 'b', step: undefined, remove: ['a'] });
  });

  it('removes all pools of a runtime that wants none, but those of a later generation', () => {
    const later = pool('b', desired({ generation: 3 }));
    const none = summary(desired({ generation: 2, size: 0 }), [pool('a', desired()), later]);
    expect(none).to.deep.equal({ current: 'b', step: undefined, remove: ['a'] });
  });

  it('brings replicas of different versions to one pool, whatever the order of their turns, each replaced at most once', () => {
    const turn = record({ replica: integer({ min: 0, max: 2 }), seen: integer({ min: 0, max: 3 }) });
    const formats = array(constantFrom(1, 2, 3), { minLength: 3, maxLength: 3 });
    assert(
      property(formats, array(turn, { maxLength: 60 }), (versions, turns) => {
        const history: KnownPool[][] = [[]];
        const removals = new Map<string, number>();
        const step = (format: number, staleness: number) => {
          const want = desired({ templateFormat: format, templateHash: `hash-${format}` });
          const pools = history.at(-1) ?? [];
          const seen = history.at(-1 - staleness) ?? [];
          const plan = planPools(want, seen, now);
          const name = `pool-${format}`;
          if (plan.step?.kind === 'create' && !pools.some((known) => known.name === name)) {
            history.push([...pools, pool(name, want)]);
            return true;
          }
          const gone = plan.remove.filter((one) => pools.some(({ name: known }) => known === one.name));
          for (const one of gone) removals.set(one.name, (removals.get(one.name) ?? 0) + 1);
          if (gone.length > 0) history.push(pools.filter((known) => !gone.some((one) => one.name === known.name)));
          return gone.length > 0;
        };
        for (const { replica, seen } of turns) step(versions[replica] ?? 1, seen);
        for (let round = 0; round < 10; round += 1) for (const format of versions) step(format, 0);
        const left = history.at(-1) ?? [];
        expect(left.map(({ record: made }) => made.templateFormat)).to.deep.equal([Math.max(...versions)]);
        expect(removals.get(`pool-${Math.max(...versions)}`) ?? 0).to.equal(0);
      }),
      { numRuns: 300 },
    );
  });

  it('orders pools by generation, then key, then format', () => {
    const sorted = [
      desired(),
      desired({ templateFormat: 2 }),
      desired({ keyGeneration: 2 }),
      desired({ generation: 2 }),
    ];
    for (let index = 1; index < sorted.length; index += 1) {
      expect(comparePools(sorted[index] as PoolRecord, sorted[index - 1] as PoolRecord)).to.be.greaterThan(0);
    }
  });
});
