import { formatTime } from '../../../apis/machinery/time.ts';
import { annotations } from '../../../apis/names.ts';
import { endAfter, wholeSecond } from '../../../apis/v1alpha1/deadline.ts';
import type { SandboxSpec } from '../../../apis/v1alpha1/sandbox.ts';
import { resumeChange, resumeTime } from '../../../apis/v1alpha1/suspension.ts';
import type { StoredActivity } from '../activity/stored-activity.ts';
import type { SessionRecord } from '../session-record.ts';

/** What one write changes on a Sandbox. */
export interface SuspensionChange {
  annotations: Record<string, string | null>;
  spec: Pick<SandboxSpec, 'operatingMode' | 'shutdownTime'>;
}

/** Suspends a session for being idle. */
export function idleSuspension(now: number): SuspensionChange {
  return {
    annotations: { [annotations.idleSuspended]: formatTime(now) },
    spec: { operatingMode: 'Suspended' },
  };
}

/**
 * Brings an idle session back: the mark goes, and what woke it counts as its use, or it would be idle again at once. When
 * its old Pod is gone already, the new one is asked for in the same write.
 */
export function awakening(record: SessionRecord, stored: StoredActivity, now: number): SuspensionChange {
  const activityAt = Math.max(stored.activityAt, wholeSecond(now));
  const end = endAfter(stored.lifetime, activityAt);
  const resume = record.suspension.podGone ? resumption(record, now) : { annotations: {}, spec: {} };
  return {
    annotations: {
      [annotations.idleSuspended]: null,
      [annotations.activity]: formatTime(activityAt),
      ...resume.annotations,
    },
    spec: { ...resume.spec, ...(end > stored.endsAt ? { shutdownTime: formatTime(end) } : {}) },
  };
}

/** Asks for a new Pod. Only for a session whose old one is gone. */
export function resumption({ session }: SessionRecord, now: number): SuspensionChange {
  const { annotations: changed, operatingMode } = resumeChange(resumeTime(session.status?.conditions, now));
  return { annotations: changed, spec: { operatingMode } };
}
