import type { ContainerStatus, Pod, PodPhase } from '../api/pod.ts';

export interface PhaseInput {
  pod: Pod;
  init: readonly ContainerStatus[];
  main: readonly ContainerStatus[];
  /** All containers have ended and none is started again: the Pod was deleted. */
  terminal: boolean;
}

/** Exit code of the latest attempt that has ended, if the container is not running. */
function exitCodeOf(status: ContainerStatus): number | undefined {
  if (status.state.running !== undefined) return undefined;
  return (status.state.terminated ?? status.lastState.terminated)?.exitCode;
}

/** A Pod's phase (k8s.io/kubernetes/pkg/kubelet/kubelet_pods.go, getPhase). */
export function phaseOf({ pod, init, main, terminal }: PhaseInput): PodPhase {
  const settled = pod.status?.phase;
  if (settled === 'Succeeded' || settled === 'Failed') return settled;
  const policy = pod.spec.restartPolicy ?? 'Always';
  const initCodes = init.map(exitCodeOf);
  if (policy === 'Never' && initCodes.some((code) => code !== undefined && code !== 0)) return 'Failed';
  if (initCodes.some((code) => code === undefined)) return terminal ? endedBefore(main) : 'Pending';

  const running = main.filter(({ state }) => state.running !== undefined).length;
  const codes = main.map(exitCodeOf);
  const waiting = codes.filter((code) => code === undefined).length - running;
  if (waiting > 0) return terminal && running === 0 ? endedBefore(main) : 'Pending';
  if (running > 0) return 'Running';
  const succeeded = codes.every((code) => code === 0);
  if (terminal) return succeeded ? 'Succeeded' : 'Failed';
  if (policy === 'Always') return 'Running';
  if (succeeded) return 'Succeeded';
  return policy === 'Never' ? 'Failed' : 'Running';
}

/** Phase of a Pod that was deleted before all of its containers had begun. */
function endedBefore(main: readonly ContainerStatus[]): PodPhase {
  return main.some((status) => (exitCodeOf(status) ?? 0) !== 0) ? 'Failed' : 'Pending';
}
