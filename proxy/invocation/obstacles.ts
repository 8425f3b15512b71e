import { ApiError } from '../../apis/machinery/errors.ts';
import { findCondition } from '../../apis/machinery/meta.ts';
import { parseTime } from '../../apis/machinery/time.ts';
import { endingOf, sessionEnded } from './endings/ending.ts';
import { failureOf, type SessionRecord } from './session-record.ts';

/** Why a session cannot be invoked now, and what may change that. */
export interface Obstacle {
  error: ApiError;
  cure: 'none' | 'may be unseen' | 'must be woken' | 'will be ready' | 'trouble may pass';
}

/** In the words of Kubernetes. */
interface Reason {
  reason: string;
  message: string;
}

/** Why a session's own state keeps it from being invoked. */
export function stateObstacle(record: SessionRecord): Obstacle | undefined {
  const { spec, status } = record.session;
  switch (status?.phase) {
    case 'Terminating':
      return final(terminating(record));
    case 'Failed':
      return failed(failureOf(record));
    case 'Suspending':
    case 'Suspended':
      if (!spec.suspended) return { ...notReady(record), cure: 'must be woken' };
      return final(
        new ApiError('SessionSuspended', 'the session is suspended by its spec; set spec.suspended to false first'),
      );
    case 'Resuming':
      // Its Pod is still the one that is going.
      return record.suspension.operatingMode === 'Suspended' ? notReady(record) : undefined;
    default:
      return undefined;
  }
}

/** It exists, but the watch lags so far behind that nothing is known of it. */
export function unseen(): ApiError {
  return new ApiError('SessionNotReady', 'the session is known to kube-apiserver, but not here yet; try again', {
    retryAfterSeconds: 1,
  });
}

/** A finalizer may hold a session long after its time was over. */
function terminating({ session }: SessionRecord): ApiError {
  const { name = '', uid = '', deletionTimestamp } = session.metadata;
  const ending = endingOf(session, parseTime(deletionTimestamp) ?? 0);
  return ending.reason === 'IdleTimeout' || ending.reason === 'MaxDuration'
    ? sessionEnded(ending, { name, uid })
    : new ApiError('Gone', 'the session is being deleted; create a new one');
}

export function final(error: ApiError): Obstacle {
  return { error, cure: 'none' };
}

export function failed({ reason, message }: Reason): Obstacle {
  const sentence = `the session cannot run: ${reason}: ${message}; delete it and create another`;
  return final(new ApiError('SessionFailed', sentence, { details: { causes: [{ reason, message }] } }));
}

export function troubled({ session }: SessionRecord, { reason, message }: Reason): Obstacle {
  const phase = session.status?.phase ?? 'Pending';
  const sentence = `the session is ${phase} and has no ready Pod: ${reason}: ${message}; Kubernetes goes on trying, try again later`;
  const error = new ApiError('SessionNotReady', sentence, {
    details: { causes: [{ reason, message }] },
    retryAfterSeconds: 1,
  });
  return { error, cure: 'trouble may pass' };
}

/** No node takes the Pod. */
export function unschedulable({ session }: SessionRecord): (Reason & { final: false }) | undefined {
  const scheduled = findCondition(session.status?.conditions, 'PodScheduled');
  return scheduled?.status === 'False' ? { ...scheduled, final: false } : undefined;
}

export function notReady({ session }: SessionRecord): Obstacle {
  const ready = session.status?.conditions?.find((condition) => condition.type === 'Ready');
  const because = ready === undefined || ready.status === 'True' ? '' : ` (${ready.reason})`;
  const message = `the session is ${session.status?.phase ?? 'Pending'}${because} and has no ready Pod; try again`;
  return { error: new ApiError('SessionNotReady', message, { retryAfterSeconds: 1 }), cure: 'will be ready' };
}
