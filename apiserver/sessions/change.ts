import { patchTypes } from '../../apis/client/transport.ts';
import { ApiError, clip, invalid } from '../../apis/machinery/errors.ts';
import { decodeGo, type GoType, GoTypeError, kindOf } from '../../apis/machinery/go-decoding.ts';
import { JsonSyntaxError, type ParsedJson, parseJson } from '../../apis/machinery/json.ts';
import { applyJsonPatch } from '../../apis/machinery/json-patch.ts';
import { applyMergePatch } from '../../apis/machinery/merge-patch.ts';
import { invalidValue } from '../../apis/machinery/names.ts';
import { parseResourceVersion } from '../../apis/machinery/query-values.ts';
import { goQuote } from '../../apis/machinery/quote.ts';
import { group, resource } from '../../apis/names.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { unsupported } from '../http/negotiation.ts';
import { conflict } from './conflict.ts';
import { type DecodedPart, type DecodedSession, decodePatched, decodeSession, type ObjectBody } from './decode.ts';
import { dedupeOwners } from './owner-references.ts';
import { withWarnings } from './warned.ts';
import type { FieldValidation } from './write-options.ts';

/**
 * What a request makes of a Session as it is now; asked again when somebody else has written it meanwhile. All of the
 * result is still to be validated, but it is the Session of that name, at that resourceVersion.
 * @throws ApiError Conflict when the client means another state of the Session, and whatever is wrong with the request.
 */
export type SessionChange = (current: Session, part: DecodedPart) => DecodedSession;

/** The patches that are served, by media type. */
const patches: Readonly<Record<string, PatchType>> = {
  [patchTypes.json]: {
    apply: applyJsonPatch,
    strict: { isList: true, name: '[]handlers.jsonPatchOp' },
  },
  [patchTypes.merge]: {
    apply: applyMergePatch,
    strict: { isList: false, name: 'map[string]interface {}' },
  },
};

/** Media types of patches, as OpenAPI lists them. Server-side apply is more than a patch. */
export const servedPatchTypes = [...Object.keys(patches), patchTypes.apply];

/** Where a request's path says that its object is. */
export interface ObjectPath {
  namespace: string;
  name: string;
}

/**
 * PUT: the Session as the client sent it, which must say what it was made from.
 * @throws ApiError BadRequest.
 */
export function replacement(body: ObjectBody, fieldValidation: FieldValidation, path: ObjectPath): SessionChange {
  const decoded = dedupeOwners(decodeSession(body, fieldValidation), 'before');
  try {
    checkNames(decoded, { metadata: path });
  } catch (error) {
    throw withWarnings(error, decoded.warnings);
  }
  return (current, part) => {
    const { uid } = decoded.metadata;
    const { name = '' } = current.metadata;
    if (uid !== undefined && uid !== current.metadata.uid) {
      const problem = `${storageError(path)}Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.metadata.uid}`;
      throw conflict(name, problem).warning(decoded.warnings);
    }
    return inPart(decoded, part, current);
  };
}

/**
 * PATCH: the Session with a patch applied.
 * @throws ApiError BadRequest.
 */
export function patched(type: PatchType, body: Buffer, fieldValidation: FieldValidation): SessionChange {
  const { value, problems } = parsePatch(body, type, fieldValidation);
  return (current, part) => {
    const made = decodePatched(type.apply(current, value), fieldValidation, part, problems);
    const decoded = dedupeOwners(made, 'after');
    try {
      checkNames(decoded, current);
    } catch (error) {
      throw withWarnings(error, decoded.warnings);
    }
    return inPart(decoded, part, current);
  };
}

/** @throws ApiError Invalid (no version), Unknown (a malformed one), Conflict; with what there is to warn of. */
function inPart(decoded: DecodedSession, part: DecodedPart, current: Session): DecodedSession {
  try {
    requireVersion(decoded, current);
    checkVersion(decoded, current);
  } catch (error) {
    throw withWarnings(error, decoded.warnings);
  }
  return part === 'session' ? decoded : { ...decoded, causes: [] };
}

/** Custom resources are not updated unconditionally (registry/generic/registry/store.go, Update). */
function requireVersion({ metadata: { resourceVersion } }: DecodedSession, { metadata: { name = '' } }: Session): void {
  const version = resourceVersion === undefined ? 0n : parseResourceVersion(resourceVersion);
  if (version === undefined) {
    const problem = /^\d+$/.test(resourceVersion ?? '') ? 'value out of range' : 'invalid syntax';
    throw new ApiError('Unknown', `strconv.ParseUint: parsing ${goQuote(resourceVersion ?? '')}: ${problem}`);
  }
  if (version !== 0n) return;
  throw invalid(resource, group, name, [
    invalidValue('metadata.resourceVersion', 0, 'must be specified for an update'),
  ]);
}

/** What kube-apiserver's storage puts in front; the key is where a custom resource of this name would lie. */
function storageError({ namespace, name }: ObjectPath): string {
  return `StorageError: invalid object, Code: 4, Key: /registry/${group}/${resource}/${namespace}/${name}, ResourceVersion: 0, AdditionalErrorMsg: `;
}

/** What a patch's media type does. */
export interface PatchType {
  apply: (target: unknown, patch: unknown) => unknown;
  /** What the patch is decoded into, as Go calls it. */
  strict: { isList: boolean; name: string };
}

/**
 * What a media type of patches does.
 * @throws ApiError UnsupportedMediaType.
 */
export function patchOf(contentType: string | undefined): PatchType {
  const [type = ''] = (contentType ?? '').split(';');
  const patch = Object.hasOwn(patches, type) ? patches[type] : undefined;
  if (patch === undefined) throw unsupported(servedPatchTypes);
  return patch;
}

/** Whether a media type is that of server-side apply. */
export function isApply(contentType: string | undefined): boolean {
  return contentType?.split(';')[0] === patchTypes.apply;
}

/** @throws ApiError BadRequest. */
function parsePatch(
  body: Buffer,
  { strict }: PatchType,
  fieldValidation: FieldValidation,
): { value: unknown; problems: string[] } {
  let parsed: ParsedJson;
  try {
    parsed = parseJson(body.toString('utf8'));
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw new ApiError('BadRequest', 'invalid JSON patch');
    throw error;
  }
  const { value, duplicates } = parsed;
  const found = kindOf(value);
  if (found !== 'null' && found !== (strict.isList ? 'array' : 'object')) {
    if (fieldValidation === 'Ignore' && !strict.isList && found !== 'array') {
      throw new ApiError('BadRequest', 'Invalid JSON Patch');
    }
    const into = fieldValidation === 'Ignore' ? 'jsonpatch.Patch' : strict.name;
    const prefix = fieldValidation === 'Ignore' ? '' : 'error decoding patch: ';
    if (fieldValidation !== 'Ignore' || strict.isList) {
      throw new ApiError('BadRequest', `${prefix}json: cannot unmarshal ${found} into Go value of type ${into}`);
    }
  }
  if (fieldValidation === 'Ignore') return { value, problems: [] };
  const problems = duplicates.map((path) => `duplicate field ${goQuote(path)}`);
  if (!strict.isList) return { value, problems };
  return { value, problems: [...problems, ...operationProblems(value)].map((problem) => `json patch ${problem}`) };
}

const operationType: GoType = {
  kind: 'slice',
  name: '[]handlers.jsonPatchOp',
  of: {
    kind: 'struct',
    name: 'handlers.jsonPatchOp',
    fields: { op: { kind: 'string' }, path: { kind: 'string' }, from: { kind: 'string' }, value: { kind: 'raw' } },
  },
};

/** @throws ApiError BadRequest when a member of an operation is no text. */
function operationProblems(value: unknown): string[] {
  try {
    return decodeGo(value, operationType).unknown.map((path) => `unknown field ${goQuote(path)}`);
  } catch (error) {
    if (error instanceof GoTypeError) throw new ApiError('BadRequest', `error decoding patch: ${error.message}`);
    throw error;
  }
}

/** @throws ApiError BadRequest when the client means another namespace. */
export function checkNamespace({ metadata }: DecodedSession, namespace: string | undefined): void {
  if (metadata.namespace === undefined || metadata.namespace === namespace) return;
  const message = 'the namespace of the provided object does not match the namespace sent on the request';
  throw new ApiError('BadRequest', message);
}

/** @throws ApiError BadRequest when the client means another object. */
export function checkNames(decoded: DecodedSession, { metadata: current }: Pick<Session, 'metadata'>): void {
  checkNamespace(decoded, current.namespace);
  const { name = '' } = decoded.metadata;
  if (name === current.name) return;
  if (name === '') {
    const problem = 'was undeterminable: name must be provided';
    throw new ApiError('BadRequest', `the name of the object (${current.name} based on URL) ${problem}`);
  }
  throw new ApiError(
    'BadRequest',
    `the name of the object (${clip(name)}) does not match the name on the URL (${current.name})`,
  );
}

/**
 * An apply without a resourceVersion means whatever state there is.
 * @throws ApiError Conflict.
 */
export function checkVersion({ metadata: { resourceVersion } }: DecodedSession, { metadata: current }: Session): void {
  if (resourceVersion === undefined || resourceVersion === '' || resourceVersion === current.resourceVersion) return;
  const problem = 'the object has been modified; please apply your changes to the latest version and try again';
  throw conflict(current.name ?? '', problem);
}
