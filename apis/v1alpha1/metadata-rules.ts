import { clip } from '../machinery/errors.ts';
import type { ObjectMeta, StatusCause } from '../machinery/meta.ts';
import {
  dnsLabelProblems,
  forbiddenValue,
  immutable,
  invalidValue,
  labelValueProblems,
  qualifiedNameProblems,
  requiredValue,
} from '../machinery/names.ts';
import { finalizers as stored } from '../names.ts';
import { toSandboxLabelKey } from './labels.ts';

/** Sum of the bytes of all annotation keys and values (k8s.io/apimachinery, TotalAnnotationSizeLimitB). */
const annotationLimitBytes = 256 * 1024;
/** A generated name is 58 characters of prefix and 5 of chance (k8s.io/apiserver/pkg/storage/names/generate.go). */
const generatedPrefixLength = 58;

/** Every problem of a new Session's metadata (k8s.io/apimachinery/pkg/api/validation/objectmeta.go, and design §3). */
export function metadataCauses(metadata: ObjectMeta): StatusCause[] {
  return [...nameCauses(metadata), ...commonCauses(metadata)];
}

/**
 * Every problem of the metadata that a stored Session is to have (ValidateObjectMetaUpdate there). Times, generation and
 * what nobody may choose are not looked at: they stay as they are, whatever is sent.
 */
export function metadataUpdateCauses(metadata: ObjectMeta, current: ObjectMeta): StatusCause[] {
  const causes: StatusCause[] = [];
  const added = (metadata.finalizers ?? []).filter((finalizer) => !current.finalizers?.includes(finalizer));
  if (current.deletionTimestamp !== undefined && added.length > 0) {
    const found = `[]string{${added.map((finalizer) => JSON.stringify(clip(finalizer))).join(', ')}}`;
    const problem = `no new finalizers can be added if the object is being deleted, found new finalizers ${found}`;
    causes.push(forbiddenValue('metadata.finalizers', problem));
  }
  if (metadata.uid !== undefined && metadata.uid !== '' && metadata.uid !== current.uid) {
    causes.push(invalidValue('metadata.uid', metadata.uid, immutable));
  }
  if (metadata.deletionTimestamp !== undefined && current.deletionTimestamp === undefined) {
    causes.push(invalidValue('metadata.deletionTimestamp', metadata.deletionTimestamp, immutable));
  }
  return [...causes, ...commonCauses(metadata)];
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
  let controllers = 0;
  for (const [index, owner] of (ownerReferences ?? []).entries()) {
    const field = `metadata.ownerReferences[${index}]`;
    for (const part of ['apiVersion', 'kind', 'name', 'uid'] as const) {
      if (owner[part] === undefined || owner[part] === '')
        causes.push(requiredValue(`${field}.${part}`, 'must not be empty'));
    }
    // agent-sandbox would take the Sandbox for a member of that pool or for that claim's.
    if (String(owner.apiVersion).startsWith('extensions.agents.x-k8s.io/')) {
      causes.push(forbiddenValue(field, 'a session cannot be owned by a pool or claim of agent-sandbox'));
    }
    if (owner.controller === true) controllers += 1;
  }
  if (controllers > 1) {
    causes.push(
      invalidValue('metadata.ownerReferences', controllers, 'Only one reference can have Controller set to true'),
    );
  }
  return causes;
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
