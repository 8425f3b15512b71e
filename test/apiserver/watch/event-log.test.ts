import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import type { Session } from '../../../apis/v1alpha1/types.ts';
import { EventEncoder } from '../../../apiserver/watch/encoding.ts';
import { EventLog } from '../../../apiserver/watch/event-log.ts';
import { SecondHand } from '../../../apiserver/watch/second-hand.ts';
import { SessionEvent } from '../../../apiserver/watch/session-event.ts';
import { SortedKeys } from '../../../apiserver/watch/sorted-keys.ts';
import { WatcherIndex } from '../../../apiserver/watch/watcher-index.ts';
import { until } from '../../support/until.ts';

const everything = { namespace: undefined, name: undefined };

function session(name: string, version: number, namespace = 'ns'): Session {
  const metadata = { namespace, name, resourceVersion: String(version), creationTimestamp: '2026-01-01T00:00:00Z' };
  return { apiVersion: 'sojourn.dev/v1alpha1', kind: 'Session', metadata, spec: {}, status: {} } as unknown as Session;
}

function added(version: number, namespace = 'ns'): SessionEvent {
  return new SessionEvent('ADDED', { previous: undefined, current: session(`s${version}`, version, namespace) });
}

function filled(limits: ConstructorParameters<typeof EventLog>[0], versions: number[]): EventLog {
  const log = new EventLog(limits);
  log.reset(10n);
  for (const version of versions) log.append(added(version));
  return log;
}

function since(log: EventLog, version: bigint): number[] | undefined {
  return log.since(version, everything)?.map(({ resourceVersion }) => Number(resourceVersion));
}

describe('the log of events', () => {
  const patient = { freshMs: 60_000, least: 2, most: 4 };

  it('has every event after its beginning, and says when it does not reach back', () => {
    const log = filled(patient, [12, 15, 19]);
    expect(since(log, 9n)).to.equal(undefined);
    expect(since(log, 10n)).to.deep.equal([12, 15, 19]);
    expect(since(log, 15n)).to.deep.equal([19]);
    expect(since(log, 18n)).to.deep.equal([19]);
    expect(since(log, 99n)).to.deep.equal([]);
    log.append(added(20, 'other'));
    expect(log.since(12n, { namespace: 'other', name: undefined })).to.have.length(1);
  });

  it('keeps a number of events at most', () => {
    const log = filled(patient, [11, 12, 13, 14, 15, 16]);
    expect(log.size).to.equal(4);
    expect(since(log, 11n)).to.equal(undefined);
    expect(since(log, 12n)).to.deep.equal([13, 14, 15, 16]);
  });

  it('keeps events for a time, and some of them longer', async () => {
    const log = filled({ freshMs: 1, least: 2, most: 100 }, [11, 12, 13, 14]);
    await delay(5);
    log.trim();
    expect(since(log, 12n)).to.deep.equal([13, 14]);
    expect(since(log, 11n)).to.equal(undefined);
  });

  it('can be lengthened backwards, without what it has already', () => {
    const log = filled({ ...patient, most: 100 }, [12, 14]);
    log.prepend(3n, [added(5), added(10), added(12)]);
    expect(since(log, 2n)).to.equal(undefined);
    expect(since(log, 3n)).to.deep.equal([5, 10, 12, 14]);
  });

  it('tells those who lose a session its last state under the version of the change', () => {
    const event = new SessionEvent('MODIFIED', { previous: session('a', 5), current: session('a', 7) });
    expect(event.departed.metadata).to.include({ name: 'a', resourceVersion: '7' });
    expect(event.departed).to.equal(event.departed);
  });
});

describe('keys in order', () => {
  it('are those of etcd, and each namespace’s are together', () => {
    const keys = new SortedKeys();
    keys.replace(['b/x', 'a/z', 'a-b/y']);
    for (const key of ['a/a', 'c/1', 'a/z', 'a0/q']) keys.add(key);
    keys.delete('c/1');
    keys.delete('c/2');
    expect(keys.of(undefined)).to.deep.equal(['a-b/y', 'a/a', 'a/z', 'a0/q', 'b/x']);
    expect(keys.of('a')).to.deep.equal(['a/a', 'a/z']);
    expect(keys.of('none')).to.deep.equal([]);
  });
});

describe('the index of watchers', () => {
  it('finds those and only those who may see a session', () => {
    const index = new WatcherIndex<string>();
    const scopes = {
      all: {},
      ns: { namespace: 'ns' },
      one: { namespace: 'ns', name: 'a' },
      named: { name: 'a' },
      other: { namespace: 'x' },
    };
    const leave = Object.entries(scopes).map(([who, scope]) => index.add({ ...everything, ...scope }, who));
    const seers = (name: string) => {
      const seen: string[] = [];
      index.visit(session(name, 1), (who) => seen.push(who));
      return seen.sort();
    };
    expect(seers('a')).to.deep.equal(['all', 'named', 'ns', 'one']);
    expect(seers('b')).to.deep.equal(['all', 'ns']);
    leave[1]?.();
    leave[1]?.();
    expect(seers('b')).to.deep.equal(['all']);
    expect(index.size).to.equal(4);
    expect(index.all()).to.have.members(['all', 'one', 'named', 'other']);
  });
});

describe('an encoder of events', () => {
  it('encodes an event once for all who want it in one format, a Table once a second', () => {
    let now = 1_767_225_600_400;
    const encoder = new EventEncoder(() => now);
    const one = session('a', 5);
    for (const shape of ['object', 'table', 'partial'] as const) {
      const format = {
        shape,
        metaVersion: 'v1',
        pretty: false,
        includeObject: 'Metadata',
      } as const;
      const line = encoder.event('ADDED', one, format, 'omit');
      now += 500;
      expect(encoder.event('ADDED', one, format, 'omit'), shape).to.equal(line);
      expect(encoder.event('MODIFIED', one, format, 'omit'), shape).to.not.equal(line);
      now += 500;
      const later = encoder.event('ADDED', one, format, 'omit');
      if (shape === 'table') expect(later.toString()).to.not.equal(line.toString());
      else expect(later).to.equal(line);
      now -= 1_000;
    }
  });
});

describe('the second hand', () => {
  it('calls everybody once, in time, and not those who called it off', async () => {
    const hand = new SecondHand();
    const called: string[] = [];
    const begun = performance.now();
    hand.after(1_200, () => called.push(`second, ${performance.now() - begun >= 1_200 ? 'in time' : 'too early'}`));
    hand.after(0, () => {
      called.push('first');
      hand.after(1_500, () => called.push('third'));
    });
    hand.after(0, () => called.push('never'))();
    await until('all calls', () => called.length === 3);
    expect(called).to.deep.equal(['first', 'second, in time', 'third']);
  });
});
