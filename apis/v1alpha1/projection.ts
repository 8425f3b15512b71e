import { type Condition, findCondition, type ObjectMeta, type OwnerReference } from '../machinery/meta.ts';
import { parseTime } from '../machinery/time.ts';
import { annotations, finalizers, groupVersion, kind } from '../names.ts';
import { type DocumentResult, readDocument } from './document.ts';
import { readFailure } from './failure.ts';
import { fromSandboxLabels } from './labels.ts';
import { phaseOf } from './phase.ts';
import type { Sandbox } from './sandbox.ts';
import type { Session, SessionDocument, SessionStatus } from './types.ts';
import { sessionUid } from './uid.ts';

/** Conditions of the Sandbox that a Session shows. */
const shownConditions = ['Ready', 'Suspended', 'PodScheduled'] as const;
/** What conditions mean for which the Sandbox has no words. */
const unsaid: Readonly<Record<string, string>> = { 'PodScheduled=True': 'the Pod has a node' };
/** Reasons of a Ready condition for which there is no Pod to blame. */
const withoutPod: ReadonlySet<string> = new Set(['SandboxExpired', 'SandboxSuspended']);
/** Owners in this group are pools and claims of agent-sandbox: the Sandbox's business, not the Session's. */
const poolGroup = 'extensions.agents.x-k8s.io/';

/**
 * The Session that a Sandbox bears. A pure function of the stored object: no clock, no other object, no memory.
 * Never throws: a document that cannot be read makes a Session in phase Failed with condition DataInvalid,
 * because a missing one would make the garbage collector delete its dependents.
 * @param result of reading its document, for whoever has read it already.
 */
export function projectSession(sandbox: Sandbox, result: DocumentResult = readDocument(sandbox)): Session {
  if ('problem' in result) {
    return assemble(sandbox, undefined, {
      phase: 'Failed',
      conditions: [...conditionsOf(sandbox), dataInvalid(sandbox, result.problem)],
      ...observedStatus(sandbox),
    });
  }
  const { document } = result;
  return assemble(sandbox, document, {
    phase: phaseOf(sandbox, document),
    conditions: withFailure(conditionsOf(sandbox), sandbox),
    user: document.user,
    start: document.start,
    ...observedStatus(sandbox),
    endpoints: document.runtime.endpoints,
  });
}

function assemble(sandbox: Sandbox, document: SessionDocument | undefined, status: SessionStatus): Session {
  return {
    apiVersion: groupVersion,
    kind,
    metadata: projectMetadata(sandbox, document),
    // A broken document has no spec to show; clients that decode strictly still get the field.
    spec: document?.spec ?? ({} as Session['spec']),
    status,
  };
}

function projectMetadata(sandbox: Sandbox, document: SessionDocument | undefined): ObjectMeta {
  const { metadata } = sandbox;
  const terminating = metadata.deletionTimestamp !== undefined;
  const labels = fromSandboxLabels(metadata.labels);
  const userAnnotations = document?.annotations;
  const shownFinalizers = projectFinalizers(metadata.finalizers);
  const owners = projectOwners(metadata.ownerReferences);
  return {
    name: metadata.name ?? '',
    ...(metadata.generateName === undefined ? {} : { generateName: metadata.generateName }),
    namespace: metadata.namespace ?? '',
    uid: sessionUid(metadata.uid ?? ''),
    // A creation that was only tried has none.
    ...(metadata.resourceVersion === undefined ? {} : { resourceVersion: metadata.resourceVersion }),
    // kube-apiserver raises the generation when a deletion begins (registry/rest/delete.go).
    generation: (document?.generation ?? 1) + (terminating ? 1 : 0),
    creationTimestamp: document?.creationTimestamp ?? metadata.creationTimestamp ?? null,
    ...(metadata.deletionTimestamp === undefined ? {} : { deletionTimestamp: metadata.deletionTimestamp }),
    ...(metadata.deletionGracePeriodSeconds === undefined
      ? {}
      : { deletionGracePeriodSeconds: metadata.deletionGracePeriodSeconds }),
    ...(labels === undefined ? {} : { labels }),
    ...(userAnnotations === undefined || Object.keys(userAnnotations).length === 0
      ? {}
      : { annotations: userAnnotations }),
    ...(owners === undefined ? {} : { ownerReferences: owners }),
    ...(shownFinalizers === undefined ? {} : { finalizers: shownFinalizers }),
    ...(document?.managedFields === undefined ? {} : { managedFields: document.managedFields }),
  };
}

/** The garbage collector's finalizers are stored under names of ours; the Sandbox's own two concern its Pod only. */
function projectFinalizers(stored: readonly string[] | undefined): string[] | undefined {
  const shown: string[] = [];
  for (const finalizer of stored ?? []) {
    if (isSandboxFinalizer(finalizer)) continue;
    if (finalizer === finalizers.foregroundDeletion) shown.push('foregroundDeletion');
    else if (finalizer === finalizers.orphan) shown.push('orphan');
    else shown.push(finalizer);
  }
  return shown.length === 0 ? undefined : shown;
}

/** Whether a stored finalizer is the Sandbox's own, and none of its Session's. */
export function isSandboxFinalizer(finalizer: string): boolean {
  return finalizer === 'foregroundDeletion' || finalizer === 'orphan';
}

/** Whether a stored owner is the Sandbox's own, and none of its Session's. */
export function isSandboxOwner(owner: OwnerReference): boolean {
  return String(owner.apiVersion).startsWith(poolGroup);
}

function projectOwners(owners: readonly OwnerReference[] | undefined): OwnerReference[] | undefined {
  const shown = (owners ?? []).filter((owner) => !isSandboxOwner(owner));
  return shown.length === 0 ? undefined : shown;
}

function observedStatus(sandbox: Sandbox): SessionStatus {
  const { status, spec, metadata } = sandbox;
  const activity = metadata.annotations?.[annotations.activity];
  const addresses = status?.podIPs;
  return {
    ...(addresses === undefined || addresses.length === 0 ? {} : { addresses }),
    ...(status?.nodeName === undefined || status.nodeName === '' ? {} : { nodeName: status.nodeName }),
    ...(activity === undefined || parseTime(activity) === undefined ? {} : { lastActivityTime: activity }),
    ...(spec?.shutdownTime === undefined ? {} : { expirationTime: spec.shutdownTime }),
  };
}

function conditionsOf(sandbox: Sandbox): Condition[] {
  const shown: Condition[] = [];
  for (const type of shownConditions) {
    const condition = sandbox.status?.conditions?.find((candidate) => candidate.type === type);
    if (condition === undefined) continue;
    const { status, reason, lastTransitionTime } = condition;
    const message = condition.message || (unsaid[`${type}=${status}`] ?? '');
    // observedGeneration is left out: it counts the Sandbox's generation, not the Session's.
    shown.push({ type, status, reason, message, lastTransitionTime });
  }
  return shown;
}

/** Puts the Pod's own reason in place of the Sandbox's general one while the session is not ready. */
function withFailure(conditions: Condition[], sandbox: Sandbox): Condition[] {
  const why = readFailure(sandbox) ?? unscheduled(conditions);
  if (why === undefined) return conditions;
  const { reason, message } = why;
  return conditions.map((condition) =>
    condition.type === 'Ready' && condition.status !== 'True' && !withoutPod.has(condition.reason)
      ? { ...condition, reason, message }
      : condition,
  );
}

/** Why no node takes the Pod: the Sandbox has the scheduler's own words. */
function unscheduled(conditions: readonly Condition[]): Condition | undefined {
  const scheduled = findCondition(conditions, 'PodScheduled');
  return scheduled?.status === 'False' ? scheduled : undefined;
}

function dataInvalid(sandbox: Sandbox, problem: string): Condition {
  return {
    type: 'DataInvalid',
    status: 'True',
    reason: 'DocumentUnreadable',
    message: `${problem}; delete the session: of what it has, only labels, owners and finalizers can still be changed`,
    lastTransitionTime: sandbox.metadata.creationTimestamp ?? '1970-01-01T00:00:00Z',
  };
}
