import { type Condition, findCondition } from '../machinery/meta.ts';
import { parseTime } from '../machinery/time.ts';
import { annotations } from '../names.ts';
import { readFailure } from './failure.ts';
import type { Sandbox } from './sandbox.ts';
import { suspensionOf } from './suspension.ts';
import type { Phase, SessionDocument } from './types.ts';

/** Reasons of a Sandbox's Ready condition after which its Pod does not come back by itself. */
const finalReasons = new Set(['PodFailed', 'PodSucceeded']);

/** Phase of a session whose document could be read. */
export function phaseOf(sandbox: Sandbox, document: SessionDocument): Phase {
  if (sandbox.metadata.deletionTimestamp !== undefined) return 'Terminating';
  const ready = findCondition(sandbox.status?.conditions, 'Ready');
  // Written by the controller just before it deletes what is past its shutdownTime.
  if (ready?.reason === 'SandboxExpired') return 'Terminating';
  const suspension = suspensionOf(sandbox, document);
  if (suspension.operatingMode === 'Suspended') {
    if (suspension.wanted === 'no') return 'Resuming';
    return suspension.podGone || isLeftSuspended(sandbox) ? 'Suspended' : 'Suspending';
  }
  if (ready?.status === 'True') return 'Ready';
  if (readFailure(sandbox)?.final === true) return 'Failed';
  if (ready !== undefined && finalReasons.has(ready.reason)) return 'Failed';
  return isResuming(sandbox, ready) ? 'Resuming' : 'Pending';
}

/**
 * Whether the Sandbox is Suspended although it was written since: another deadline brings no Pod back. Only a resume after
 * which it was suspended again at once may have brought one that the condition does not tell of yet.
 */
function isLeftSuspended(sandbox: Sandbox): boolean {
  const suspended = findCondition(sandbox.status?.conditions, 'Suspended');
  if (suspended?.status !== 'True') return false;
  const resumed = parseTime(sandbox.metadata.annotations?.[annotations.resumed]);
  return resumed === undefined || resumed < (parseTime(suspended.lastTransitionTime) ?? 0);
}

function isResuming(sandbox: Sandbox, ready: Condition | undefined): boolean {
  const resumed = parseTime(sandbox.metadata.annotations?.[annotations.resumed]);
  if (resumed === undefined || ready === undefined) return false;
  const notReadySince = parseTime(ready.lastTransitionTime);
  return notReadySince !== undefined && notReadySince <= resumed;
}
