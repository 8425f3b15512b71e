import type { ContainerStatus, Pod, PodCondition, PodPhase } from '../api/pod.ts';

type Outcome = Pick<PodCondition, 'status' | 'reason' | 'message'>;

export interface ConditionInput {
  pod: Pod;
  phase: PodPhase;
  init: readonly ContainerStatus[];
  main: readonly ContainerStatus[];
  /** Whether the Pod has its address, folders and volumes. */
  sandboxReady: boolean;
  /** RFC 3339; the transition time of what changes now. */
  now: string;
  /** The conditions as they were written last. */
  before: readonly PodCondition[];
}

const yes: Outcome = { status: 'True', reason: null, message: null };

/** kubelet's own conditions, in its order (k8s.io/kubernetes/pkg/kubelet/status/generate.go). */
export function conditionsOf(input: ConditionInput): PodCondition[] {
  const containersReady = containersReadyOf(input);
  const outcomes: [string, Outcome][] = [
    ['PodReadyToStartContainers', input.sandboxReady ? yes : { status: 'False', reason: null, message: null }],
    ['Initialized', initializedOf(input)],
    ['Ready', readyOf(input, containersReady)],
    ['ContainersReady', containersReady],
    ['PodScheduled', yes],
  ];
  return outcomes.map(([type, outcome]) => withTransition(type, outcome, input));
}

function withTransition(type: string, outcome: Outcome, input: ConditionInput): PodCondition {
  const before = input.before.find((condition) => condition.type === type);
  const kept = before?.status === outcome.status ? before.lastTransitionTime : undefined;
  const generation = input.pod.metadata.generation;
  return {
    type,
    ...outcome,
    lastTransitionTime: kept ?? input.now,
    ...(generation === undefined ? {} : { observedGeneration: generation }),
  };
}

function initializedOf({ phase, init, main }: ConditionInput): Outcome {
  if (phase === 'Succeeded') return { ...yes, reason: 'PodCompleted' };
  const begun = main.some(({ containerID }) => containerID !== undefined);
  const incomplete = init.filter(({ ready }) => !ready).map(({ name }) => name);
  if (begun || incomplete.length === 0) return yes;
  return no('ContainersNotInitialized', `containers with incomplete status: [${incomplete.join(' ')}]`);
}

function containersReadyOf({ phase, main }: ConditionInput): Outcome {
  if (phase === 'Succeeded') return no('PodCompleted');
  if (phase === 'Failed') return no('PodFailed');
  const unready = main.filter(({ ready }) => !ready).map(({ name }) => name);
  return unready.length === 0
    ? yes
    : no('ContainersNotReady', `containers with unready status: [${unready.join(' ')}]`);
}

function readyOf({ pod }: ConditionInput, containersReady: Outcome): Outcome {
  if (containersReady.status !== 'True') return containersReady;
  const problems: string[] = [];
  for (const { conditionType } of pod.spec.readinessGates ?? []) {
    const condition = pod.status?.conditions?.find(({ type }) => type === conditionType);
    if (condition === undefined) {
      problems.push(`corresponding condition of pod readiness gate "${conditionType}" does not exist.`);
    } else if (condition.status !== 'True') {
      problems.push(`the status of pod readiness gate "${conditionType}" is not "True", but ${condition.status}`);
    }
  }
  return problems.length === 0 ? yes : no('ReadinessGatesNotReady', problems.join(', '));
}

function no(reason: string, message: string | null = null): Outcome {
  return { status: 'False', reason, message };
}
