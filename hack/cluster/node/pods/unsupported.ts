import type { PodEvent } from '../api/events.ts';
import type { Container, Pod } from '../api/pod.ts';

/**
 * Why a Pod's volumes cannot be mounted, in kubelet's words; undefined when none stands in the way. This node has no
 * mount namespaces, so no folder can appear at a container's mount path. The service account's token volume, which
 * kube-apiserver adds to every Pod by itself, is left out instead.
 */
export function mountProblem(pod: Pod): string | undefined {
  const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  const mounted = new Set(containers.flatMap(({ volumeMounts = [] }) => volumeMounts.map(({ name }) => name)));
  for (const { name, ...source } of pod.spec.volumes ?? []) {
    if (!mounted.has(name) || (name.startsWith('kube-api-access-') && source.projected !== undefined)) continue;
    const [kind = 'unknown'] = Object.keys(source);
    return `MountVolume.SetUp failed for volume "${name}" : ${kind} volumes are not supported by the local node`;
  }
  return undefined;
}

/** Warnings for what a Pod asks of a node and this one leaves out while it runs the Pod all the same. */
export function unsupportedWarnings(pod: Pod): PodEvent[] {
  const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  const warnings = containers.flatMap(containerWarnings);
  if (pod.spec.activeDeadlineSeconds !== undefined) {
    warnings.push(warning('DeadlineIgnored', 'activeDeadlineSeconds is not enforced by the local node'));
  }
  for (const { name } of pod.spec.ephemeralContainers ?? []) {
    warnings.push(warning('Failed', 'Error: ephemeral containers are not supported by the local node', name));
  }
  return warnings;
}

function containerWarnings(container: Container): PodEvent[] {
  const { name, livenessProbe, startupProbe, lifecycle } = container;
  const left: [unknown, string, string][] = [
    [livenessProbe, 'ProbeWarning', 'Liveness probe is not run by the local node'],
    [startupProbe, 'ProbeWarning', 'Startup probe is not run by the local node'],
    [lifecycle?.postStart, 'FailedPostStartHook', 'PostStartHook is not run by the local node'],
    [lifecycle?.preStop, 'FailedPreStopHook', 'PreStopHook is not run by the local node'],
  ];
  return left.flatMap(([asked, reason, message]) => (asked === undefined ? [] : [warning(reason, message, name)]));
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
