import { expect } from 'chai';
import type { Condition } from '../../../apis/machinery/meta.ts';
import { parseTime } from '../../../apis/machinery/time.ts';
import type { Session } from '../../../apis/v1alpha1/types.ts';
import { endingOf } from '../../../proxy/invocation/endings/ending.ts';

const createdAt = '2026-11-21T06:00:00Z';
const at = (text: string) => parseTime(text) ?? 0;

interface Last {
  endsAt?: string;
  expired?: boolean;
  start?: 'Warm' | 'Cold';
  deletionTimestamp?: string;
}

function last({ endsAt = '2026-11-21T06:18:45Z', expired = false, start = 'Cold', deletionTimestamp }: Last): Session {
  const condition: Condition = {
    type: 'Ready',
    status: 'False',
    reason: expired ? 'SandboxExpired' : 'DependenciesReady',
    message: '',
    lastTransitionTime: createdAt,
  };
  return {
    apiVersion: 'sojourn.dev/v1alpha1',
    kind: 'Session',
    metadata: {
      name: 'py-1',
      uid: 'u',
      creationTimestamp: createdAt,
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    },
    spec: {
      runtimeRef: { kind: 'CodeInterpreter', name: 'py' },
      idleTimeout: '15m',
      maxDuration: '1h',
      idleAction: 'Delete',
      suspended: false,
    },
    status: { start, expirationTime: endsAt, conditions: [condition] },
  };
}

describe('why a session ended, from the last that was seen of it', () => {
  const cases: [string, string, Last, string][] = [
    ['IdleTimeout', 'once agent-sandbox has said that it expired', { expired: true }, '2026-11-21T06:18:45Z'],
    [
      'IdleTimeout',
      'once it has said so, even by a clock that is ahead of ours',
      { expired: true },
      '2026-11-21T06:18:40Z',
    ],
    ['IdleTimeout', 'when its time was over, and a watch was cut', {}, '2026-11-21T06:19:00Z'],
    [
      'MaxDuration',
      'when the deadline could not move any further',
      { expired: true, endsAt: '2026-11-21T07:00:00Z' },
      '2026-11-21T07:00:00Z',
    ],
    ['Deleted', 'when it went before its time', {}, '2026-11-21T06:10:00Z'],
    [
      'Deleted',
      'when its deletion began before its time, however long a finalizer held it',
      { deletionTimestamp: '2026-11-21T06:10:00Z' },
      '2026-11-21T09:00:00Z',
    ],
    ['PoolMemberDeleted', 'when it was warm and gone at once', { start: 'Warm' }, '2026-11-21T06:00:09Z'],
    ['Deleted', 'when it was warm and gone later', { start: 'Warm' }, '2026-11-21T06:00:10Z'],
    ['Deleted', 'when it was cold and gone at once', {}, '2026-11-21T06:00:01Z'],
  ];
  for (const [reason, when, seen, seenAt] of cases) {
    it(`is ${reason} ${when}`, () => {
      expect(endingOf(last(seen), at(seenAt)).reason).to.equal(reason);
    });
  }

  it('has the time of the deadline, so that all who saw it tell the same', () => {
    for (const seenAt of ['2026-11-21T06:18:44Z', '2026-11-21T06:18:47Z']) {
      expect(endingOf(last({ expired: true }), at(seenAt)).at).to.equal(at('2026-11-21T06:18:45Z'));
    }
  });

  it('is Deleted when its stored data cannot be read', () => {
    const session = { ...last({ expired: true }), spec: {} as Session['spec'] };
    expect(endingOf(session, at('2026-11-21T06:19:00Z')).reason).to.equal('Deleted');
  });
});
