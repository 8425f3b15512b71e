import { ApiError } from '../../apis/machinery/errors.ts';
import type { JsonObject } from '../../apis/machinery/managed-fields/field-manager.ts';
import { isMembers } from '../../apis/machinery/managed-fields/field-schema.ts';
import type { StatusCause } from '../../apis/machinery/meta.ts';
import { applySession } from '../../apis/v1alpha1/session-fields.ts';
import { runtimeKinds, type Session, type SessionSpec } from '../../apis/v1alpha1/types.ts';
import { checkNames, checkVersion } from './change.ts';
import { conflict } from './conflict.ts';
import { type DecodedPart, type DecodedSession, decodePatched } from './decode.ts';
import { type OwnedChange, type Owners, ownersBytes, type Writer } from './ownership.ts';
import { refuseOversize } from './size.ts';
import type { FieldValidation } from './write-options.ts';

/** What a client applies, and how. */
export interface Configuration {
  /** The fields that it wants, and wants to own. */
  object: JsonObject;
  /** Members that are in the document twice, as texts. */
  duplicates: readonly string[];
  fieldValidation: FieldValidation;
  /** Whether fields are taken from those who have them. */
  force: boolean;
  writer: Writer;
}

/** A Session to be created by an apply. */
export interface AppliedCreation {
  decoded: DecodedSession;
  owners: Owners;
}

/**
 * PATCH by server-side apply: what was applied wins, what is no longer applied and belongs to nobody else goes.
 * @throws FieldConflicts, ApiError.
 */
export function applied(configuration: Configuration): OwnedChange {
  return (current, part) => {
    const { decoded, owners } = applyTo(current, configuration, part);
    checkNames(decoded, current);
    checkVersion(decoded, current);
    return { ...decoded, owners };
  };
}

/**
 * The Session that an apply makes when there is none of that name.
 * @throws ApiError.
 */
export function appliedCreation(
  configuration: Configuration,
  { namespace, name }: { namespace: string; name: string },
): AppliedCreation {
  const { decoded, owners } = applyTo(undefined, configuration, 'session');
  const { uid } = decoded.metadata;
  if (uid !== undefined && uid !== '') {
    const problem = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`;
    throw conflict(name, problem);
  }
  checkNames(decoded, { metadata: { namespace, name } });
  // There is no version yet that it could mean.
  const { resourceVersion: _, ...metadata } = decoded.metadata;
  return { decoded: { ...decoded, metadata }, owners };
}

function applyTo(
  current: Session | undefined,
  { object: config, duplicates, fieldValidation, force, writer }: Configuration,
  part: DecodedPart,
): AppliedCreation {
  // Before it is merged: whoever is to have 16 KiB in the end need not apply megabytes.
  refuseOversize({ metadata: isMembers(config.metadata) ? config.metadata : {}, spec: config.spec as SessionSpec });
  const { object, managedFields } = applySession(current, config, { ...writer, force });
  if (fieldValidation === 'Strict' && duplicates.length > 0) {
    const problem = ['error converting YAML to JSON: yaml: unmarshal errors:', ...duplicates].join('\n  ');
    throw new ApiError('BadRequest', `error strict decoding patch: ${problem}`);
  }
  const decoded = decodePatched(object, 'Ignore', part);
  return {
    decoded: {
      ...decoded,
      causes: decoded.causes.flatMap((cause) => asNull(cause, object)),
      warnings: fieldValidation === 'Warn' ? [...duplicates] : [],
    },
    owners: (spec) => {
      refuseOversize({ metadata: decoded.metadata, spec }, ownersBytes(managedFields));
      return managedFields;
    },
  };
}

/** Fields that must be there, by their types. */
const requiredTypes: ReadonlyMap<string, string> = new Map([
  ['spec', 'object'],
  ['spec.runtimeRef', 'object'],
  ['spec.runtimeRef.kind', 'string'],
  ['spec.runtimeRef.name', 'string'],
]);

/** What is applied is decoded by nobody who would take a null for an absent field, so it is one of the wrong type. */
function asNull(cause: StatusCause, object: JsonObject): StatusCause[] {
  const { reason, field = '' } = cause;
  const type = requiredTypes.get(field);
  if (reason !== 'FieldValueRequired' || type === undefined || valueAt(object, field) !== null) return [cause];
  const message = `Invalid value: "null": ${field} in body must be of type ${type}: "null"`;
  const wrongType = { reason: 'FieldValueTypeInvalid', message, field };
  if (field !== 'spec.runtimeRef.kind') return [wrongType];
  const supported = runtimeKinds.map((word) => JSON.stringify(word)).join(', ');
  const unsupported = `Unsupported value: null: supported values: ${supported}`;
  return [wrongType, { reason: 'FieldValueNotSupported', message: unsupported, field }];
}

function valueAt(object: JsonObject, path: string): unknown {
  let value: unknown = object;
  for (const name of path.split('.')) value = isMembers(value) ? value[name] : undefined;
  return value;
}
