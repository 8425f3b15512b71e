import type { Probe } from '../api/pod.ts';
import { pause } from '../time.ts';
import { type CheckTarget, check } from './checks.ts';

const firstEagerMs = 25;

export interface ReadinessOptions {
  probe: Probe;
  target: CheckTarget;
  /** Called for each change; not ready is where it begins. */
  onChange: (ready: boolean) => void;
  /** Called for each failed check. */
  onFailure: (output: string) => void;
  /** Ends the probing. */
  signal: AbortSignal;
}

/**
 * Probes one attempt of a container until the signal. As kubelet does, with one difference: within the first period
 * after the initial delay checks follow each other quickly and a failure is not counted, so that a process which
 * listens 50 ms after its start does not wait a whole period to become ready.
 */
export async function probeReadiness(options: ReadinessOptions): Promise<void> {
  const { probe, signal } = options;
  const periodMs = (probe.periodSeconds ?? 10) * 1000;
  const threshold = { true: probe.successThreshold ?? 1, false: probe.failureThreshold ?? 3 };
  await pause((probe.initialDelaySeconds ?? 0) * 1000, signal);
  const eagerUntil = Date.now() + periodMs;
  let eagerMs = firstEagerMs;
  let ready = false;
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
      if (passed !== ready && run >= threshold[`${passed}`]) {
        ready = passed;
        options.onChange(ready);
      }
    }
    await pause(eager ? eagerMs : periodMs, signal);
    if (eager) eagerMs = Math.min(eagerMs * 2, periodMs);
  }
}
