import type { Probe } from '../api/pod.ts';
import { pause } from '../time.ts';
import { type CheckTarget, check } from './checks.ts';

const firstEagerMs = 25;

export type ProbeKind = 'Readiness' | 'Liveness' | 'Startup';

export interface ProbeOptions {
  kind: ProbeKind;
  probe: Probe;
  target: CheckTarget;
  /** Called for each change of what the thresholds make of the checks; nothing is known before the first call. */
  onChange: (passed: boolean) => void;
  /** Called for each failed check. */
  onFailure: (output: string) => void;
  /** Ends the probing. */
  signal: AbortSignal;
}

/**
 * Probes one attempt of a container until the signal. As kubelet does, with one difference: before a readiness or
 * startup probe has passed for the first time, checks follow each other quickly within the first period and a failure
 * is not counted, so that a process which listens 50 ms after its start does not wait a whole period.
 */
export async function runProbe(options: ProbeOptions): Promise<void> {
  const { kind, probe, signal } = options;
  const periodMs = (probe.periodSeconds ?? 10) * 1000;
  const threshold = { true: probe.successThreshold ?? 1, false: probe.failureThreshold ?? 3 };
  await pause((probe.initialDelaySeconds ?? 0) * 1000, signal);
  const eagerUntil = kind === 'Liveness' ? 0 : Date.now() + periodMs;
  let eagerMs = firstEagerMs;
  let known: boolean | undefined;
  let last: boolean | undefined;
  let run = 0;
  while (!signal.aborted) {
    const failure = await check(probe, options.target);
    if (signal.aborted) return;
    const passed = failure === undefined;
    const eager = last === undefined && !passed && Date.now() + eagerMs < eagerUntil;
    if (!eager) {
      run = passed === last ? run + 1 : 1;
      last = passed;
      if (failure !== undefined) options.onFailure(failure);
      if (passed !== known && run >= threshold[`${passed}`]) {
        known = passed;
        options.onChange(passed);
      }
    }
    await pause(eager ? eagerMs : periodMs, signal);
    if (eager) eagerMs = Math.min(eagerMs * 2, periodMs);
  }
}
