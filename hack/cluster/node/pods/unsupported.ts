import type { PodEvent } from '../api/events.ts';
import type { Pod } from '../api/pod.ts';

/** Warnings for what a Pod asks of a node and this one leaves out while it runs the Pod all the same. */
export function unsupportedWarnings(pod: Pod): PodEvent[] {
  const warnings: PodEvent[] = [];
  if (pod.spec.activeDeadlineSeconds !== undefined) {
    warnings.push(warning('DeadlineIgnored', 'activeDeadlineSeconds is not enforced by the local node'));
  }
  for (const { name } of pod.spec.ephemeralContainers ?? []) {
    warnings.push(warning('Failed', 'Error: ephemeral containers are not supported by the local node', name));
  }
  return warnings;
}

function warning(reason: string, message: string, container?: string): PodEvent {
  return {
    type: 'Warning',
    reason,
    message,
    component: 'kubelet',
    ...(container === undefined ? {} : { container }),
  };
}
