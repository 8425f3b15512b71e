import type { Probe } from '../api/pod.ts';
import type { CheckTarget } from './checks.ts';
import { type ProbeKind, runProbe } from './prober.ts';

export interface ContainerProbeOptions {
  target: CheckTarget;
  /** Called once the startup probe has passed. */
  onStarted: () => void;
  onReady: (ready: boolean) => void;
  /** Called for each failed check, with the message of kubelet's Event. */
  onUnhealthy: (message: string) => void;
  /** The container is to be ended, and started anew if its Pod wants it: liveness or startup has failed. */
  onDead: (kind: ProbeKind, probe: Probe) => void;
  /** Ends the probing. */
  signal: AbortSignal;
}

/**
 * Runs the probes of one attempt of a container: the startup probe until it has passed, and only then the two others
 * (k8s.io/kubernetes/pkg/kubelet/prober/worker.go). A container without a readiness probe is ready once it has started.
 */
export async function probeContainer(options: ContainerProbeOptions): Promise<void> {
  const { startupProbe, readinessProbe, livenessProbe } = options.target.container;
  const { signal } = options;
  if (startupProbe !== undefined && !(await passes(startupProbe, options))) return;
  if (startupProbe !== undefined) options.onStarted();
  if (startupProbe !== undefined && readinessProbe === undefined) options.onReady(true);
  const probing: Promise<void>[] = [];
  if (readinessProbe !== undefined) {
    probing.push(run('Readiness', readinessProbe, { ...options, onChange: options.onReady }));
  }
  if (livenessProbe !== undefined) {
    const onChange = (alive: boolean) => {
      if (!alive && !signal.aborted) options.onDead('Liveness', livenessProbe);
    };
    probing.push(run('Liveness', livenessProbe, { ...options, onChange }));
  }
  await Promise.all(probing);
}

/** Whether the startup probe has passed; false when it failed for good or was broken off. */
async function passes(probe: Probe, options: ContainerProbeOptions): Promise<boolean> {
  const decided = new AbortController();
  const signal = AbortSignal.any([options.signal, decided.signal]);
  let started = false;
  const onChange = (passed: boolean) => {
    started = passed;
    decided.abort();
    if (!passed) options.onDead('Startup', probe);
  };
  await run('Startup', probe, { ...options, signal, onChange });
  return started && !options.signal.aborted;
}

async function run(
  kind: ProbeKind,
  probe: Probe,
  options: ContainerProbeOptions & { onChange: (passed: boolean) => void },
): Promise<void> {
  const { target, signal, onChange, onUnhealthy } = options;
  const onFailure = (output: string) => onUnhealthy(`${kind} probe failed: ${output}`);
  await runProbe({ kind, probe, target, signal, onChange, onFailure });
}
