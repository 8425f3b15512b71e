import { type Condition, findCondition } from '../machinery/meta.ts';
import { formatTime, parseTime } from '../machinery/time.ts';
import { annotations } from '../names.ts';
import type { Sandbox } from './sandbox.ts';
import type { SessionDocument } from './types.ts';

/** Whether a session is to have no Pod, and how far that has come. A function of the stored Sandbox alone. */
export interface SuspensionState {
  /** Who wants the session to have no Pod: the user's hold, which goes first, or whoever found it idle. */
  wanted: 'no' | 'hold' | 'idle';
  operatingMode: 'Running' | 'Suspended';
  /**
   * The controller has seen this very state and found no Pod. Only then may a new one be asked for: earlier, the
   * Sandbox would be reported Ready with the address of the Pod that is going.
   */
  podGone: boolean;
}

/** The suspension of a session; of one whose document cannot be read, only what its Sandbox says. */
export function suspensionOf(sandbox: Sandbox, document: SessionDocument | undefined): SuspensionState {
  const idle = sandbox.metadata.annotations?.[annotations.idleSuspended] !== undefined;
  const suspended = findCondition(sandbox.status?.conditions, 'Suspended');
  return {
    wanted: document?.spec.suspended === true ? 'hold' : idle ? 'idle' : 'no',
    operatingMode: sandbox.spec?.operatingMode ?? 'Running',
    podGone: suspended?.status === 'True' && suspended.observedGeneration === sandbox.metadata.generation,
  };
}

/** Whether a session waits for a new Pod to be asked for, and its old one is gone. */
export function canResume({ wanted, operatingMode, podGone }: SuspensionState): boolean {
  return wanted === 'no' && operatingMode === 'Suspended' && podGone;
}

/**
 * When a resume is sent, as it is stored: milliseconds since the epoch. Not before the conditions it follows, whose times
 * come from another clock: what was not ready since before a resume is how a resuming session is told from a starting one.
 */
export function resumeTime(conditions: readonly Condition[] | undefined, now: number): number {
  const since = ['Ready', 'Suspended'].map(
    (type) => parseTime(findCondition(conditions, type)?.lastTransitionTime) ?? 0,
  );
  return Math.max(now, ...since);
}

/** What a resume writes: a new Pod is asked for, and whatever was wrong with the old one is over. */
export function resumeChange(at: number): { annotations: Record<string, string | null>; operatingMode: 'Running' } {
  return {
    annotations: { [annotations.resumed]: formatTime(at), [annotations.failure]: null },
    operatingMode: 'Running',
  };
}
