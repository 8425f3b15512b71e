import { findCondition, type KubeObject } from '../../../apis/machinery/meta.ts';
import type { Failure } from '../../../apis/v1alpha1/failure.ts';

/** A core/v1 Pod as far as it tells why it does not run. */
export interface FailingPod extends KubeObject {
  spec?: { restartPolicy?: string };
  status?: {
    phase?: string;
    reason?: string;
    message?: string;
    conditions?: { type: string; status: string; reason?: string; message?: string }[];
    initContainerStatuses?: ContainerStatus[];
    containerStatuses?: ContainerStatus[];
  };
}

export interface ContainerStatus {
  name: string;
  state?: { waiting?: { reason?: string; message?: string }; terminated?: Termination };
  lastState?: { terminated?: Termination };
}

interface Termination {
  exitCode: number;
  reason?: string;
}

type Trouble = Omit<Failure, 'podUid'>;

/**
 * Reasons that kubelet gives for a container that waits because of an error (pkg/kubelet/images/types.go,
 * pkg/kubelet/container/sync_result.go, pkg/kubelet/kuberuntime). It tries again for ever, so each of them can heal:
 * somebody pushes the image, creates the Secret.
 */
const retried = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'ErrImageNeverPull',
  'RegistryUnavailable',
  'ImageInspectError',
  'SignatureValidationFailed',
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
  'PreCreateHookError',
  'PreStartHookError',
  'PostStartHookError',
]);
/** No image ever has such a name, and the name of a running session's image never changes. */
const invalidImage = 'InvalidImageName';
/** Of a message, so much is looked at. */
const longestText = 2_048;
const crashLoop = 'CrashLoopBackOff';
const outOfMemory = 'OOMKilled';
/** kubelet's message for it has what the hook wrote (pkg/kubelet/lifecycle/handlers.go). */
const postStartHook = 'PostStartHookError';

/** Reasons between which kubelet goes back and forth for one and the same trouble. */
const alternating: readonly ReadonlySet<string>[] = [
  new Set([
    'ErrImagePull',
    'ImagePullBackOff',
    'RegistryUnavailable',
    'ImageInspectError',
    'SignatureValidationFailed',
  ]),
  new Set([crashLoop, 'RunContainerError', 'PostStartHookError']),
];

/**
 * Whether two failures of one Pod are the same trouble, so that telling the second one would say nothing new. The first
 * word of it is kept: ErrImagePull knows more than the back-off after it.
 */
export function isSameTrouble(recorded: Failure, seen: Failure): boolean {
  if (recorded.podUid !== seen.podUid || recorded.final !== seen.final) return false;
  if (recorded.reason === seen.reason) return true;
  return alternating.some((reasons) => reasons.has(recorded.reason) && reasons.has(seen.reason));
}

/**
 * Why a Pod does not run, in the words of whoever knows: kubelet, the node controller, the container's end. Undefined
 * for a Pod that runs, or that is on its way. What a container wrote before its end is left out: it may be secret.
 */
export function podFailure(pod: FailingPod): Failure | undefined {
  const trouble = podTrouble(pod);
  if (trouble === undefined) return undefined;
  return { ...trouble, message: publicText(trouble.message), podUid: pod.metadata.uid ?? '' };
}

function podTrouble(pod: FailingPod): Trouble | undefined {
  const { phase } = pod.status ?? {};
  // kubelet gives a Pod that is deleted a last phase before it goes, and then agent-sandbox replaces it.
  if (pod.metadata.deletionTimestamp !== undefined) return disrupted(pod);
  // agent-sandbox does not replace a Pod that is there, whatever its phase.
  if (phase === 'Failed') return failedPod(pod);
  if (phase === 'Succeeded') return succeededPod(pod);
  for (const status of pod.status?.initContainerStatuses ?? []) {
    const trouble = waitingContainer(status);
    if (trouble !== undefined) return trouble;
  }
  for (const status of pod.status?.containerStatuses ?? []) {
    const trouble = waitingContainer(status) ?? endedContainer(status, pod.spec?.restartPolicy);
    if (trouble !== undefined) return trouble;
  }
  return undefined;
}

/** Evicted, DeadlineExceeded, NodeAffinity, ...: the Pod's own reason; that of its disruption, or its container's, else. */
function failedPod(pod: FailingPod): Trouble {
  const { reason, message = '', initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
  if (reason !== undefined && reason !== '') return { reason, message, final: true };
  const disruption = disrupted(pod);
  if (disruption !== undefined) return { ...disruption, final: true };
  for (const { name, state } of [...initContainerStatuses, ...containerStatuses]) {
    const { terminated } = state ?? {};
    if (terminated === undefined || terminated.exitCode === 0) continue;
    return { reason: terminated.reason ?? 'Error', message: ending(name, terminated), final: true };
  }
  return { reason: 'PodFailed', message, final: true };
}

function succeededPod({ status }: FailingPod): Trouble {
  const names = (status?.containerStatuses ?? []).map(({ name }) => JSON.stringify(name)).join(', ');
  return { reason: 'Completed', message: `container ${names} ended with exit code 0, for good`, final: true };
}

/** Why somebody else takes a Pod away: drain, preemption, a node that is gone (KEP-3329; NodeLost is older). */
function disrupted({ status }: FailingPod): Trouble | undefined {
  const target = findCondition(status?.conditions, 'DisruptionTarget');
  if (target?.status === 'True' && target.reason !== undefined) {
    return { reason: target.reason, message: target.message ?? '', final: false };
  }
  if (status?.reason !== 'NodeLost') return undefined;
  return { reason: status.reason, message: status.message ?? '', final: false };
}

function waitingContainer({ name, state, lastState }: ContainerStatus): Trouble | undefined {
  const { reason, message = '' } = state?.waiting ?? {};
  if (reason === crashLoop) return crashing(name, lastState?.terminated);
  if (reason === invalidImage) return { reason, message: `container ${JSON.stringify(name)}: ${message}`, final: true };
  if (reason === undefined || !retried.has(reason)) return undefined;
  if (reason === postStartHook) {
    return { reason, message: `container ${JSON.stringify(name)}: its postStart hook failed`, final: false };
  }
  return { reason, message: `container ${JSON.stringify(name)}: ${message}`, final: false };
}

/** kubelet's own message counts up with every round; this one stays, and so does what is recorded. */
function crashing(name: string, last: Termination | undefined): Trouble {
  if (last === undefined) {
    return { reason: crashLoop, message: `container ${JSON.stringify(name)} keeps ending`, final: false };
  }
  const reason = last.reason === outOfMemory ? outOfMemory : crashLoop;
  return { reason, message: `${ending(name, last)} and is started again with back-off`, final: false };
}

/** A container that has ended: of interest when it ran out of memory, or is not started again. */
function endedContainer({ name, state }: ContainerStatus, restartPolicy: string | undefined): Trouble | undefined {
  const { terminated } = state ?? {};
  if (terminated === undefined) return undefined;
  const isOver = restartPolicy === 'Never' || (restartPolicy === 'OnFailure' && terminated.exitCode === 0);
  if (isOver) return { reason: terminated.reason ?? 'Error', message: ending(name, terminated), final: true };
  if (terminated.reason !== outOfMemory) return undefined;
  return { reason: outOfMemory, message: `${ending(name, terminated)} and is started again`, final: false };
}

function ending(name: string, { exitCode, reason }: Termination): string {
  if (reason === outOfMemory) {
    return `container ${JSON.stringify(name)} was killed because it used more memory than its limit`;
  }
  const why = reason === undefined || reason === 'Error' ? '' : ` (${reason})`;
  return `container ${JSON.stringify(name)} ended with exit code ${exitCode}${why}`;
}

/** Registries answer with signed URLs, whose queries are credentials, and names of users may stand before the host. */
function publicText(message: string): string {
  return firstWords(message)
    .replace(/(:\/\/)[^\s/"'@]+@/g, '$1')
    .replace(/(:\/\/[^\s?"']+)\?[^\s"']*/g, '$1')
    .replace(/\s+/g, ' ')
    .trim();
}

/** A registry chooses how much it answers. Cut between words, because half of a credential would not be known as one. */
function firstWords(message: string): string {
  if (message.length <= longestText) return message;
  return `${message.slice(0, longestText).replace(/(?<!\S)\S*$/, '')}…`;
}
