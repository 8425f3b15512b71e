import { isDeepStrictEqual } from 'node:util';
import { differInTimesAlone, type ManagedFieldsEntry } from '../machinery/managed-fields/managers.ts';
import type { ObjectMeta, OwnerReference } from '../machinery/meta.ts';
import { formatTime, parseTime } from '../machinery/time.ts';
import { annotations } from '../names.ts';
import { endAfter, latestEnd, lifetimeOf, wholeSecond } from './deadline.ts';
import { serializeDocument } from './document.ts';
import { fromSandboxLabelKey, toSandboxLabels } from './labels.ts';
import { toSandboxFinalizer } from './new-sandbox.ts';
import { isSandboxFinalizer, isSandboxOwner } from './projection.ts';
import type { Sandbox, SandboxSpec } from './sandbox.ts';
import { canResume, resumeChange, resumeTime, suspensionOf } from './suspension.ts';
import type { CompleteSessionSpec, SessionDocument } from './types.ts';

/**
 * How long a session goes on at least whose idle timeout was shortened, or whose idleAction became Delete: whoever has it
 * in use may not have written that yet, and does so on seeing the change. Above twice the clock skew that is put up with.
 */
export const noticeMs = 10_000;

/** What a Session is to be: valid, complete, and of the same name. */
export interface SessionUpdate {
  metadata: Pick<ObjectMeta, 'generateName' | 'labels' | 'annotations' | 'finalizers' | 'ownerReferences'>;
  spec: CompleteSessionSpec;
  /** Who owns which field then; undefined when nobody is known to own anything. */
  managedFields?: ManagedFieldsEntry[] | undefined;
}

/** A JSON merge patch of a Sandbox, fenced by the resourceVersion it was made for. */
export interface SandboxPatch {
  metadata: {
    resourceVersion: string;
    generateName?: string | null;
    labels?: Record<string, string | null>;
    annotations?: Record<string, string | null>;
    finalizers?: string[];
    ownerReferences?: OwnerReference[];
  };
  spec?: Pick<SandboxSpec, 'shutdownTime' | 'operatingMode'>;
}

/**
 * The one write that makes a stored Session another: document, labels, finalizers, owners and whatever of the Sandbox
 * follows from its spec. Undefined when nothing changes.
 * @param document undefined when it cannot be read; then the metadata of the Sandbox alone is changed.
 * @param now milliseconds since the epoch.
 */
export function sandboxPatch(
  sandbox: Sandbox,
  document: SessionDocument | undefined,
  update: SessionUpdate,
  now: number,
): SandboxPatch | undefined {
  const { managedFields } = update;
  if (document === undefined || !differInTimesAlone(managedFields, document.managedFields)) {
    return changeOf(sandbox, document, update, now);
  }
  // That something was written again is no news, so it changes no times (registry/generic/registry/store.go).
  const isNews = changeOf(sandbox, document, { ...update, managedFields: document.managedFields }, now) !== undefined;
  return isNews ? changeOf(sandbox, document, update, now) : undefined;
}

function changeOf(
  sandbox: Sandbox,
  document: SessionDocument | undefined,
  update: SessionUpdate,
  now: number,
): SandboxPatch | undefined {
  const { metadata } = update;
  const labels = labelChange(sandbox.metadata.labels, metadata.labels);
  const finalizers = [
    ...(sandbox.metadata.finalizers ?? []).filter(isSandboxFinalizer),
    ...(metadata.finalizers ?? []).map(toSandboxFinalizer),
  ];
  const owners = [
    ...(sandbox.metadata.ownerReferences ?? []).filter(isSandboxOwner),
    ...(metadata.ownerReferences ?? []),
  ];
  const stored = document === undefined ? {} : documentChange(sandbox, document, update, now);
  const { generateName } = metadata;
  const change = {
    ...(generateName === sandbox.metadata.generateName ? {} : { generateName: generateName ?? null }),
    ...(labels === undefined ? {} : { labels }),
    ...(stored.annotations === undefined ? {} : { annotations: stored.annotations }),
    ...(isDeepStrictEqual(finalizers, sandbox.metadata.finalizers ?? []) ? {} : { finalizers }),
    ...(isDeepStrictEqual(owners, sandbox.metadata.ownerReferences ?? []) ? {} : { ownerReferences: owners }),
  };
  if (Object.keys(change).length === 0) return undefined;
  return {
    metadata: { resourceVersion: sandbox.metadata.resourceVersion ?? '', ...change },
    ...(stored.spec === undefined ? {} : { spec: stored.spec }),
  };
}

type Change = Pick<SandboxPatch, 'spec'> & { annotations?: Record<string, string | null> };

function documentChange(
  sandbox: Sandbox,
  document: SessionDocument,
  { metadata, spec, managedFields }: SessionUpdate,
  now: number,
): Change {
  const specChanged = !isDeepStrictEqual(spec, document.spec);
  const { annotations: _annotations, managedFields: _owners, ...rest } = document;
  const next: SessionDocument = {
    ...rest,
    ...(Object.keys(metadata.annotations ?? {}).length === 0 ? {} : { annotations: metadata.annotations ?? {} }),
    spec,
    generation: document.generation + (specChanged ? 1 : 0),
    ...(managedFields === undefined ? {} : { managedFields }),
  };
  if (isDeepStrictEqual(next, document)) return {};
  const text = { [annotations.session]: serializeDocument(next) };
  if (!specChanged) return { annotations: text };
  const hold = holdChange(sandbox, document, next, now);
  const shutdownTime = formatTime(endOf(sandbox, document, next, hold.activityAt, now));
  const derived = {
    ...(hold.operatingMode === undefined ? {} : { operatingMode: hold.operatingMode }),
    ...(shutdownTime === sandbox.spec?.shutdownTime ? {} : { shutdownTime }),
  };
  return {
    annotations: { ...text, ...hold.annotations },
    ...(Object.keys(derived).length === 0 ? {} : { spec: derived }),
  };
}

interface HoldChange {
  annotations: Record<string, string | null>;
  operatingMode?: 'Running' | 'Suspended';
  /** The session's last activity from now on. */
  activityAt: number;
}

/** What setting or clearing the hold changes. To let go of a session is to use it: else it could be idle at once. */
function holdChange(sandbox: Sandbox, previous: SessionDocument, next: SessionDocument, now: number): HoldChange {
  const activityAt = storedActivity(sandbox, previous);
  if (previous.spec.suspended === next.spec.suspended) return { annotations: {}, activityAt };
  // The hold takes the place of the mark: without it, nothing but a call would bring the session back.
  const unmarked = { [annotations.idleSuspended]: null };
  if (next.spec.suspended) return { annotations: unmarked, operatingMode: 'Suspended', activityAt };
  const usedAt = Math.max(activityAt, wholeSecond(now));
  const used = { ...unmarked, [annotations.activity]: formatTime(usedAt) };
  if (!canResume({ ...suspensionOf(sandbox, next), wanted: 'no' })) return { annotations: used, activityAt: usedAt };
  const resume = resumeChange(resumeTime(sandbox.status?.conditions, now));
  return {
    annotations: { ...used, ...resume.annotations },
    operatingMode: resume.operatingMode,
    activityAt: usedAt,
  };
}

function endOf(
  sandbox: Sandbox,
  previous: SessionDocument,
  next: SessionDocument,
  activityAt: number,
  now: number,
): number {
  const createdAt = Date.parse(previous.creationTimestamp);
  const lifetime = lifetimeOf(createdAt, next.spec);
  const noticed = Math.min(parseTime(sandbox.spec?.shutdownTime) ?? Infinity, wholeSecond(now + noticeMs));
  return Math.min(Math.max(endAfter(lifetime, activityAt), noticed), latestEnd(lifetime));
}

function storedActivity(sandbox: Sandbox, { creationTimestamp }: SessionDocument): number {
  const createdAt = Date.parse(creationTimestamp);
  return Math.max(createdAt, parseTime(sandbox.metadata.annotations?.[annotations.activity]) ?? createdAt);
}

/** Labels of the user's that are new, of another value, or gone (null). */
function labelChange(
  stored: Readonly<Record<string, string>> | undefined,
  wanted: Readonly<Record<string, string>> | undefined,
): Record<string, string | null> | undefined {
  const mirrored = toSandboxLabels(wanted);
  const changed = Object.entries(mirrored).filter(([key, value]) => stored?.[key] !== value);
  const gone = Object.keys(stored ?? {}).filter(
    (key) => fromSandboxLabelKey(key) !== undefined && !Object.hasOwn(mirrored, key),
  );
  if (changed.length === 0 && gone.length === 0) return undefined;
  return Object.fromEntries([...changed, ...gone.map((key) => [key, null] as const)]);
}
