import type { Runtime } from '../agentcube/runtime.ts';
import type { ManagedFieldsEntry } from '../machinery/managed-fields/managers.ts';
import type { ObjectMeta } from '../machinery/meta.ts';
import { formatTime } from '../machinery/time.ts';
import { annotations, finalizers, labels, sandboxApi } from '../names.ts';
import type { TrustAnchors } from '../wire/trust-anchor.ts';
import { endAfter, lifetimeOf } from './deadline.ts';
import { serializeDocument } from './document.ts';
import { toSandboxLabels } from './labels.ts';
import { sandboxBlueprint } from './pool-template.ts';
import type { Sandbox } from './sandbox.ts';
import type { CompleteSessionSpec, SessionDocument, SessionUser, StartKind } from './types.ts';

/** Labels and annotations of a Sandbox by which a retry finds it. */
export interface RetryMarks {
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

/** A validated Session that is about to be created. */
export interface NewSession {
  metadata: ObjectMeta;
  spec: CompleteSessionSpec;
  runtime: Runtime;
  user: SessionUser;
  /** Who owns which field of the Session. */
  managedFields?: ManagedFieldsEntry[] | undefined;
  /** By which a retry of the same request finds the session. */
  retry?: RetryMarks;
  /** Milliseconds since the epoch. */
  now: number;
}

/** The document of a new session. */
export function newDocument(session: NewSession, start: StartKind): SessionDocument {
  const { metadata, spec, runtime, user, managedFields, now } = session;
  const userAnnotations = metadata.annotations ?? {};
  return {
    format: 1,
    creationTimestamp: formatTime(now),
    start,
    spec,
    runtime: {
      uid: runtime.uid,
      generation: runtime.generation,
      limits: runtime.limits,
      endpoints: runtime.endpoints,
      authMode: runtime.authMode,
    },
    ...(Object.keys(userAnnotations).length === 0 ? {} : { annotations: userAnnotations }),
    generation: 1,
    ...(managedFields === undefined ? {} : { managedFields }),
    user,
  };
}

/** The first deadline of a session: its creation counts as activity. */
export function firstDeadline({ creationTimestamp, spec }: SessionDocument): string {
  const createdAt = Date.parse(creationTimestamp);
  return formatTime(endAfter(lifetimeOf(createdAt, spec), createdAt));
}

/** The Sandbox that a cold start creates: the session, its mirrored labels and its deadline in one write. */
export function newSandbox(session: NewSession, anchors: TrustAnchors): Sandbox {
  const { metadata, spec, runtime, retry } = session;
  const document = newDocument(session, 'Cold');
  return {
    apiVersion: sandboxApi.groupVersion,
    kind: sandboxApi.kind,
    metadata: {
      ...(metadata.name === undefined || metadata.name === '' ? {} : { name: metadata.name }),
      ...(metadata.generateName === undefined ? {} : { generateName: metadata.generateName }),
      ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
      labels: { [labels.session]: 'true', ...retry?.labels, ...toSandboxLabels(metadata.labels) },
      annotations: { [annotations.session]: serializeDocument(document), ...retry?.annotations },
      ...(metadata.ownerReferences === undefined ? {} : { ownerReferences: metadata.ownerReferences }),
      ...(metadata.finalizers === undefined ? {} : { finalizers: metadata.finalizers.map(toSandboxFinalizer) }),
    },
    spec: {
      ...sandboxBlueprint(runtime, anchors),
      shutdownTime: firstDeadline(document),
      shutdownPolicy: 'Delete',
      operatingMode: spec.suspended ? 'Suspended' : 'Running',
    },
  };
}

/** The collector's finalizers would act on the Sandbox's Pod, so a Session's are stored under names of ours. */
export function toSandboxFinalizer(finalizer: string): string {
  if (finalizer === 'foregroundDeletion') return finalizers.foregroundDeletion;
  return finalizer === 'orphan' ? finalizers.orphan : finalizer;
}
