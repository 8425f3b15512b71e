import { createHash } from 'node:crypto';
import { findCondition, type KubeObject } from '../../../apis/machinery/meta.ts';
import { formatTime, parseTime } from '../../../apis/machinery/time.ts';
import { groupVersion, kind } from '../../../apis/names.ts';
import type { Failure } from '../../../apis/v1alpha1/failure.ts';
import type { Session, SessionSpec } from '../../../apis/v1alpha1/types.ts';
import type { Ending } from './ending.ts';

/** Reason of the Event that a session leaves behind. */
export const endedReason = 'SessionEnded';

/** A core/v1 Event as far as we write and read it. */
export interface CoreEvent extends KubeObject {
  involvedObject: ObjectReference;
  related?: ObjectReference;
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
  source?: { component: string };
  reportingComponent?: string;
  firstTimestamp?: string | null;
  lastTimestamp?: string | null;
  count?: number;
}

interface ObjectReference {
  apiVersion?: string;
  kind?: string;
  namespace?: string;
  name?: string;
  uid?: string;
}

/** kube-apiserver refuses longer ones (pkg/apis/core/validation/events.go). */
const longestMessage = 1024;
const component = 'sojourn';

/**
 * One thing that happened to a session, once however many processes saw it: its name follows from the session and the
 * happening alone, so that the first to create it wins.
 */
interface Happening {
  type?: CoreEvent['type'];
  reason: string;
  message: string;
  /** Ends the Event's name: what tells this happening from others of the session. */
  suffix: string;
  /** Milliseconds since the epoch. */
  at: number;
}

function sessionEvent(session: Session, { type = 'Normal', reason, message, suffix, at }: Happening): CoreEvent {
  const { namespace = '', name = '', uid = '' } = session.metadata;
  const time = formatTime(at);
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${name}.${uid.slice(0, 8)}.${suffix}`, namespace },
    involvedObject: { apiVersion: groupVersion, kind, namespace, name, uid },
    type,
    reason,
    message: message.slice(0, longestMessage),
    source: { component },
    reportingComponent: component,
    firstTimestamp: time,
    lastTimestamp: time,
    count: 1,
  };
}

/** What makes a session come back that has no Pod: a call, or the end of the user's hold. */
export type ResumeCause = 'call' | 'release';

export function createdEvent(session: Session, seenAt: number): CoreEvent {
  const { creationTimestamp, generation } = session.metadata;
  const { start = 'Cold', user } = session.status ?? {};
  const runtime = runtimeOf(session);
  const of = runtime === undefined ? '' : ` of ${runtime.kind} ${runtime.name}`;
  const whom = user?.username ?? 'an unknown user';
  const isHeld = session.spec.suspended === true && generation === 1;
  const message = isHeld
    ? `Created suspended${of} for ${whom}; it starts when spec.suspended is set to false`
    : `${start} start${of} for ${whom}`;
  return sessionEvent(session, {
    reason: 'Created',
    message,
    suffix: 'created',
    at: parseTime(creationTimestamp) ?? seenAt,
  });
}

export function suspendedEvent(session: Session, seenAt: number): CoreEvent {
  const at = parseTime(findCondition(session.status?.conditions, 'Suspended')?.lastTransitionTime) ?? seenAt;
  const why = session.spec.suspended
    ? 'spec.suspended is true'
    : `it was idle for its idleTimeout of ${session.spec.idleTimeout}`;
  return sessionEvent(session, {
    reason: 'Suspended',
    message: `Suspended because ${why}`,
    suffix: `suspended-${at / 1000}`,
    at,
  });
}

export function resumedEvent(session: Session, cause: ResumeCause | undefined, seenAt: number): CoreEvent {
  const at = parseTime(findCondition(session.status?.conditions, 'Ready')?.lastTransitionTime) ?? seenAt;
  const why = { call: ' because a call came', release: ' because spec.suspended was set to false' };
  const message = `Ready again${cause === undefined ? '' : why[cause]}`;
  return sessionEvent(session, { reason: 'Resumed', message, suffix: `resumed-${at / 1000}`, at });
}

/** One Event for each reason of each Pod, however often it comes back. */
export function failedEvent(session: Session, { reason, message, podUid }: Failure, seenAt: number): CoreEvent {
  const digest = createHash('sha256').update(`${podUid} ${reason}`).digest('hex').slice(0, 10);
  const text = message === '' ? reason : `${reason}: ${message}`;
  return sessionEvent(session, {
    type: 'Warning',
    reason: 'Failed',
    message: text,
    suffix: `failed-${digest}`,
    at: seenAt,
  });
}

/** The Event that is also the tombstone. It names the runtime, so that only calls of that runtime's sessions find it. */
export function endedEvent(session: Session, { reason, message, at }: Ending): CoreEvent {
  const event = sessionEvent(session, {
    reason: endedReason,
    message: `${reason}: ${message}`,
    suffix: 'ended',
    at,
  });
  const runtime = runtimeOf(session);
  return runtime === undefined
    ? event
    : { ...event, related: { ...runtime, namespace: session.metadata.namespace ?? '' } };
}

/** A session whose document is broken has no spec. */
export function runtimeOf({ spec }: Session): SessionSpec['runtimeRef'] | undefined {
  const ref: SessionSpec['runtimeRef'] | undefined = spec.runtimeRef;
  return ref;
}
