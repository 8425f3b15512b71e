import { type FlagValues, parseCount, parseOptions, parsePatience, parseText } from '../../apis/runtime/options.ts';
import { type KeyTimes, keyAnnouncementMs } from './keys/key-ring.ts';
import { signingKeyRotationFlag } from './keys/rotation-flag.ts';
import { defaultLimits, type InFlightLimits } from './limits.ts';
import type { Patience } from './watchdog.ts';

const inFlight = (what: string, limit: number) =>
  ({
    value: 'N',
    help: `calls in flight at once ${what}; more are refused with 429`,
    default: String(limit),
    parse: parseCount,
  }) as const;

const patience = <const D extends string>(help: string, fallback: D) =>
  ({ value: 'DURATION', help, default: fallback, parse: parsePatience }) as const;

/** Flags of the invocation path, the same in every process that runs it. */
export const invocationFlags = {
  'max-inflight': inFlight('in this process', defaultLimits.total),
  'max-inflight-per-user': inFlight('of one user', defaultLimits.perUser),
  'max-inflight-per-session': inFlight('of one session', defaultLimits.perSession),
  'ready-timeout': patience('how long a call waits for a session that is not ready yet', '30s'),
  'answer-timeout': patience('how long a sandbox may take until its answer begins', '1h'),
  'request-idle-timeout': patience('how long a call may go without a byte in either direction; 0 for ever', '1h'),
  'request-timeout': patience('how long a call may take in all; 0 for ever', '0'),
  'upgrade-idle-timeout': patience('as request-idle-timeout, for upgraded connections (WebSocket)', '4h'),
  'upgrade-timeout': patience('as request-timeout, for upgraded connections', '0'),
  'signing-key-rotation': signingKeyRotationFlag,
  'audit-log-path': {
    value: 'FILE',
    help: 'where one JSON line is written for each request (audit.k8s.io/v1 Event); - is standard output, none writes none',
    default: '-',
    parse: parseText,
  },
} as const;

/** What the flags say, as the invocation path takes it. */
export interface InvocationSettings {
  limits: InFlightLimits;
  /** How long a call waits for a session that is not ready yet. */
  readyTimeoutMs: number;
  /** How long a sandbox may take until its answer begins. */
  answerTimeoutMs: number;
  request: Patience;
  upgrade: Patience;
  keyTimes: KeyTimes;
}

export function invocationSettings(flags: FlagValues<typeof invocationFlags>): InvocationSettings {
  return {
    limits: {
      total: flags['max-inflight'],
      perUser: flags['max-inflight-per-user'],
      perSession: flags['max-inflight-per-session'],
    },
    readyTimeoutMs: flags['ready-timeout'],
    answerTimeoutMs: flags['answer-timeout'],
    request: { idleMs: flags['request-idle-timeout'], totalMs: flags['request-timeout'] },
    upgrade: { idleMs: flags['upgrade-idle-timeout'], totalMs: flags['upgrade-timeout'] },
    keyTimes: { rotateAfterMs: flags['signing-key-rotation'], announceMs: keyAnnouncementMs },
  };
}

/** What the flags' defaults say. */
export const defaultSettings: InvocationSettings = invocationSettings(parseOptions('', invocationFlags, [], {}));
