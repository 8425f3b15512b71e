import { clip, mostCauses } from '../machinery/errors.ts';
import type { ObjectMeta, OwnerReference, StatusCause } from '../machinery/meta.ts';
import {
  dnsLabelProblems,
  forbiddenValue,
  immutable,
  invalidValue,
  labelValueProblems,
  qualifiedNameProblems,
  requiredValue,
} from '../machinery/names.ts';
import { goQuote } from '../machinery/quote.ts';
import { finalizers as stored } from '../names.ts';
import { toSandboxLabelKey } from './labels.ts';

/** Sum of the bytes of all annotation keys and values (k8s.io/apimachinery, TotalAnnotationSizeLimitB). */
const annotationLimitBytes = 256 * 1024;
/** A generated name is 58 characters of prefix and 5 of chance (k8s.io/apiserver/pkg/storage/names/generate.go). */
const generatedPrefixLength = 58;

/**
 * Every problem of a new Session's metadata (k8s.io/apimachinery/pkg/api/validation/objectmeta.go). Stricter than a custom
 * resource's in what its Sandbox could not take: that has the same name, each label under a longer prefix, and owners that
 * must not make it a pool's.
 */
export function metadataCauses(metadata: ObjectMeta): StatusCause[] {
  return [...nameCauses(metadata), ...commonCauses(metadata)];
}

/**
 * Every problem of the metadata that a stored Session is to have. Times, generation and what nobody may choose are not looked
 * at: they stay as they are, whatever is sent. A custom resource's are looked at by three parts of kube-apiserver, which repeat
 * each other (registry/rest/update.go, ValidateUpdate; registry/customresource/validator.go), so its causes repeat too.
 */
export function metadataUpdateCauses(metadata: ObjectMeta, current: ObjectMeta): StatusCause[] {
  const changes = changeCauses(metadata, current);
  return [...commonCauses(metadata), ...changes, ...changes];
}

/** ValidateObjectMetaUpdate. */
function changeCauses(metadata: ObjectMeta, current: ObjectMeta): StatusCause[] {
  const causes: StatusCause[] = [];
  const added = new Set((metadata.finalizers ?? []).filter((finalizer) => !current.finalizers?.includes(finalizer)));
  if (current.deletionTimestamp !== undefined && added.size > 0) {
    const found = `[]string{${[...added]
      .sort()
      .map((finalizer) => goQuote(clip(finalizer)))
      .join(', ')}}`;
    const problem = `no new finalizers can be added if the object is being deleted, found new finalizers ${found}`;
    causes.push(forbiddenValue('metadata.finalizers', problem));
  }
  if (metadata.uid !== undefined && metadata.uid !== '' && metadata.uid !== current.uid) {
    causes.push(invalidValue('metadata.uid', metadata.uid, immutable));
  }
  if (metadata.deletionTimestamp !== undefined && current.deletionTimestamp === undefined) {
    causes.push(invalidValue('metadata.deletionTimestamp', metadata.deletionTimestamp, immutable));
  }
  const { deletionGracePeriodSeconds: grace } = metadata;
  if (grace !== undefined && grace !== current.deletionGracePeriodSeconds) {
    causes.push(invalidValue('metadata.deletionGracePeriodSeconds', grace, immutable));
  }
  return [
    ...causes,
    ...labelCauses(metadata.labels),
    ...annotationCauses(metadata.annotations),
    ...ownerCauses(metadata),
  ];
}

function commonCauses(metadata: ObjectMeta): StatusCause[] {
  return [
    ...labelCauses(metadata.labels),
    ...annotationCauses(metadata.annotations),
    ...ownerCauses(metadata),
    ...finalizerCauses(metadata.finalizers),
  ];
}

function nameCauses({ name, generateName }: ObjectMeta): StatusCause[] {
  if (name !== undefined && name !== '') {
    return dnsLabelProblems(name).map((problem) => invalidValue('metadata.name', name, problem));
  }
  if (generateName === undefined || generateName === '') {
    return [requiredValue('metadata.name', 'name or generateName is required')];
  }
  // The generated part makes an ending in "-" valid.
  const asName = `${generateName.slice(0, generatedPrefixLength)}x`;
  return dnsLabelProblems(asName).map((problem) => invalidValue('metadata.generateName', generateName, problem));
}

function labelCauses(labels: Readonly<Record<string, string>> | undefined): StatusCause[] {
  const causes: StatusCause[] = [];
  for (const [key, value] of Object.entries(labels ?? {})) {
    const stored = toSandboxLabelKey(key);
    const prefixLength = stored.indexOf('/');
    for (const problem of qualifiedNameProblems(key)) causes.push(invalidValue('metadata.labels', key, problem));
    if (prefixLength > 253 && qualifiedNameProblems(key).length === 0) {
      const longest = 253 - (prefixLength - key.indexOf('/'));
      causes.push(
        invalidValue('metadata.labels', key, `prefix part must be no more than ${longest} characters on a session`),
      );
    }
    for (const problem of labelValueProblems(value)) causes.push(invalidValue('metadata.labels', value, problem));
  }
  return causes;
}

function annotationCauses(annotations: Readonly<Record<string, string>> | undefined): StatusCause[] {
  const causes: StatusCause[] = [];
  let total = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    total += Buffer.byteLength(key) + Buffer.byteLength(value);
    for (const problem of qualifiedNameProblems(key.toLowerCase())) {
      causes.push(invalidValue('metadata.annotations', key, problem));
    }
  }
  if (total > annotationLimitBytes) {
    const message = `Too long: may not be more than ${annotationLimitBytes} bytes`;
    causes.push({ reason: 'FieldValueTooLong', message, field: 'metadata.annotations' });
  }
  return causes;
}

function ownerCauses({ ownerReferences }: ObjectMeta): StatusCause[] {
  const causes: StatusCause[] = [];
  let controller: string | undefined;
  for (const [index, owner] of (ownerReferences ?? []).entries()) {
    const field = `metadata.ownerReferences[${index}]`;
    causes.push(...ownerPartCauses(owner, field));
    // agent-sandbox would take the Sandbox for a member of that pool or for that claim's.
    if (String(owner.apiVersion).startsWith('extensions.agents.x-k8s.io/')) {
      causes.push(forbiddenValue(field, 'a session cannot be owned by a pool or claim of agent-sandbox'));
    }
    if (owner.controller !== true) continue;
    const its = `${owner.kind ?? ''}/${owner.name ?? ''}`;
    if (controller !== undefined) {
      const problem = `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${its}`;
      causes.push(invalidValue('metadata.ownerReferences', shownOwners(ownerReferences), problem));
    }
    controller ??= its;
    if (causes.length > mostCauses) break;
  }
  return causes;
}

function ownerPartCauses({ apiVersion, kind, name, uid }: Partial<OwnerReference>, field: string): StatusCause[] {
  const causes: StatusCause[] = [];
  const parts = (apiVersion ?? '').split('/');
  if (apiVersion !== undefined && (parts.length > 2 || parts.at(-1) === '')) {
    causes.push(invalidValue(`${field}.apiVersion`, apiVersion, 'must be <group>/<version> or <version>'));
  }
  for (const [part, value] of Object.entries({ apiVersion, kind, name, uid })) {
    if (value === undefined || value === '') causes.push(requiredValue(`${field}.${part}`, 'must not be empty'));
  }
  if (apiVersion === 'v1' && kind === 'Event') {
    const problem = '/v1, Kind=Event is disallowed from being an owner';
    causes.push(invalidValue(field, { apiVersion, kind, name: name ?? '', uid: uid ?? '' }, problem));
  }
  return causes;
}

/** Members in the order in which Go writes them. */
function shownOwners(owners: readonly OwnerReference[] | undefined): object[] {
  return (owners ?? []).slice(0, mostCauses).map(({ apiVersion, kind, name, uid, controller, blockOwnerDeletion }) => ({
    ...{ apiVersion, kind, name, uid, controller, blockOwnerDeletion },
  }));
}

function finalizerCauses(finalizers: readonly string[] = []): StatusCause[] {
  const field = 'metadata.finalizers';
  const causes = finalizers.flatMap((finalizer) =>
    qualifiedNameProblems(finalizer).map((problem) => invalidValue(field, finalizer, problem)),
  );
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion')) {
    causes.push(invalidValue(field, finalizers, 'finalizer orphan and foregroundDeletion cannot be both set'));
  }
  for (const finalizer of finalizers) {
    if (finalizer !== stored.foregroundDeletion && finalizer !== stored.orphan) continue;
    causes.push(forbiddenValue(field, `"${finalizer}" is how another finalizer is stored; leave out "sojourn.dev/"`));
  }
  return causes;
}

const standardFinalizers = new Set(['orphan', 'foregroundDeletion', 'kubernetes']);

/**
 * What there is to warn of new finalizers (apiextensions-apiserver/pkg/registry/customresource/validator.go): those without
 * a domain may be another writer's too.
 */
export function finalizerWarnings({ finalizers = [] }: ObjectMeta, current: ObjectMeta = {}): string[] {
  const added = new Set(finalizers.filter((finalizer) => !current.finalizers?.includes(finalizer)));
  return [...added].sort().flatMap((finalizer) => {
    if (finalizer.includes('/') || standardFinalizers.has(finalizer)) return [];
    const path = finalizer.includes('.') ? ' including a path (/)' : '';
    return [
      `metadata.finalizers: ${goQuote(finalizer)}: prefer a domain-qualified finalizer name${path} to avoid accidental conflicts with other finalizer writers`,
    ];
  });
}
