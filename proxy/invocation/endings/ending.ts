import { ApiError } from '../../../apis/machinery/errors.ts';
import { findCondition } from '../../../apis/machinery/meta.ts';
import { formatTime, parseTime } from '../../../apis/machinery/time.ts';
import { group, resource } from '../../../apis/names.ts';
import { latestEnd, lifetimeOf } from '../../../apis/v1alpha1/deadline.ts';
import type { CompleteSessionSpec, Session } from '../../../apis/v1alpha1/types.ts';

export const endingReasons = ['IdleTimeout', 'MaxDuration', 'PoolMemberDeleted', 'Deleted'] as const;
export type EndingReason = (typeof endingReasons)[number];

/** Why a session is no more. */
export interface Ending {
  reason: EndingReason;
  /** What follows "because". */
  message: string;
  /** Milliseconds since the epoch. */
  at: number;
}

/** A pool member that goes so soon after it was given out was deleted by its pool at the same time. */
const adoptionMs = 10_000;

/**
 * Why a session ended, from the last that was seen of it. agent-sandbox's controller always says SandboxExpired before
 * it deletes; where a watch was cut in between, the deadline itself tells.
 * @param seenAt when it was found gone: milliseconds since the epoch.
 */
export function endingOf({ metadata, spec, status }: Session, seenAt: number): Ending {
  const endsAt = parseTime(status?.expirationTime);
  const isExpired = findCondition(status?.conditions, 'Ready')?.reason === 'SandboxExpired';
  const createdAt = parseTime(metadata.creationTimestamp);
  const at = parseTime(metadata.deletionTimestamp) ?? seenAt;
  if (endsAt !== undefined && createdAt !== undefined && isComplete(spec) && (isExpired || endsAt <= at)) {
    if (endsAt >= latestEnd(lifetimeOf(createdAt, spec))) {
      return { reason: 'MaxDuration', message: `its maxDuration of ${spec.maxDuration} was over`, at: endsAt };
    }
    const message = `it was idle for longer than its idleTimeout of ${spec.idleTimeout}`;
    return { reason: 'IdleTimeout', message, at: endsAt };
  }
  if (status?.start === 'Warm' && createdAt !== undefined && at - createdAt < adoptionMs) {
    return { reason: 'PoolMemberDeleted', message: 'its pool deleted its sandbox while it was being given out', at };
  }
  return { reason: 'Deleted', message: 'it was deleted', at };
}

/** The error of a call for a session that has ended. */
export function sessionEnded({ reason, message, at }: Ending, { name, uid }: { name: string; uid: string }): ApiError {
  const time = formatTime(at);
  return new ApiError('Gone', `the session ended at ${time} because ${message} (${reason}); create a new one`, {
    details: { name, uid, group, kind: resource, causes: [{ reason, message: `ended at ${time}: ${message}` }] },
  });
}

/** A session whose document can be read has every default filled in. */
function isComplete(spec: Session['spec']): spec is CompleteSessionSpec {
  return spec.idleTimeout !== undefined && spec.maxDuration !== undefined && spec.idleAction !== undefined;
}
