import { type Condition, findCondition } from '../machinery/meta.ts';
import { parseTime } from '../machinery/time.ts';
import { annotations } from '../names.ts';
import type { Sandbox } from './sandbox.ts';
import type { Phase, SessionDocument } from './types.ts';

/** Reasons of a Sandbox's Ready condition after which its Pod does not come back by itself. */
const finalReasons = new Set(['PodFailed', 'PodSucceeded']);

/** Whether somebody (the user's hold or the idle mark) wants the session to have no Pod. */
export function wantsSuspension(sandbox: Sandbox, document: SessionDocument): boolean {
  return document.spec.suspended || sandbox.metadata.annotations?.[annotations.idleSuspended] !== undefined;
}

/** Phase of a session whose document could be read. */
export function phaseOf(sandbox: Sandbox, document: SessionDocument): Phase {
  if (sandbox.metadata.deletionTimestamp !== undefined) return 'Terminating';
  const ready = findCondition(sandbox.status?.conditions, 'Ready');
  if (sandbox.spec?.operatingMode === 'Suspended') {
    if (!wantsSuspension(sandbox, document)) return 'Resuming';
    return findCondition(sandbox.status?.conditions, 'Suspended')?.status === 'True' ? 'Suspended' : 'Suspending';
  }
  if (ready?.status === 'True') return 'Ready';
  if (sandbox.metadata.annotations?.[annotations.failure] !== undefined) return 'Failed';
  if (ready !== undefined && finalReasons.has(ready.reason)) return 'Failed';
  return isResuming(sandbox, ready) ? 'Resuming' : 'Pending';
}

function isResuming(sandbox: Sandbox, ready: Condition | undefined): boolean {
  const resumed = parseTime(sandbox.metadata.annotations?.[annotations.resumed]);
  if (resumed === undefined || ready === undefined) return false;
  const notReadySince = parseTime(ready.lastTransitionTime);
  return notReadySince !== undefined && notReadySince <= resumed;
}
