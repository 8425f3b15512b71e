import { isDeepStrictEqual } from 'node:util';
import type { ContainerStatus, Pod, PodCondition, PodStatus } from '../api/pod.ts';
import { conditionsOf } from './conditions.ts';
import { phaseOf } from './phase.ts';

export interface StatusInput {
  pod: Pod;
  init: readonly ContainerStatus[];
  main: readonly ContainerStatus[];
  hostIP: string;
  /** Absent until the Pod has one. */
  podIP: string | undefined;
  /** RFC 3339. */
  startTime: string;
  now: string;
  /** See {@link import('./phase.ts').PhaseInput.terminal}. */
  terminal: boolean;
  /** What was written last. */
  before: PodStatus;
}

/** The whole status of a Pod as this node sees it, ready to be sent as a strategic merge patch. */
export function podStatusOf(input: StatusInput): PodStatus {
  const { pod, init, main, podIP, hostIP } = input;
  const generation = pod.metadata.generation;
  const phase = phaseOf(input);
  return {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    phase,
    conditions: conditionsOf({
      ...input,
      phase,
      sandboxReady: podIP !== undefined,
      before: input.before.conditions ?? [],
    }),
    hostIP,
    hostIPs: [{ ip: hostIP }],
    ...(podIP === undefined ? {} : { podIP, podIPs: [{ ip: podIP }] }),
    startTime: input.startTime,
    ...(init.length === 0 ? {} : { initContainerStatuses: [...init] }),
    containerStatuses: [...main],
  };
}

/** Whether writing `next` over `stored` would change anything; conditions of others do not count. */
export function saysTheSame(stored: PodStatus, next: PodStatus): boolean {
  for (const [key, value] of Object.entries(next) as [keyof PodStatus, unknown][]) {
    if (key === 'conditions') {
      for (const condition of next.conditions ?? []) if (!holds(stored.conditions ?? [], condition)) return false;
    } else if (!isDeepStrictEqual(plain(stored[key]), plain(value))) return false;
  }
  return true;
}

function holds(conditions: readonly PodCondition[], wanted: PodCondition): boolean {
  const found = conditions.find(({ type }) => type === wanted.type);
  return found !== undefined && isDeepStrictEqual(plain(found), plain({ ...found, ...wanted }));
}

/** Without the nulls and undefined fields that kube-apiserver does not store. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, field]) => field !== null && field !== undefined);
  return Object.fromEntries(entries.map(([key, field]) => [key, plain(field)]));
}
