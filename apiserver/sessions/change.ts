import { ApiError } from '../../apis/machinery/errors.ts';
import { applyJsonPatch } from '../../apis/machinery/json-patch.ts';
import { applyMergePatch } from '../../apis/machinery/merge-patch.ts';
import { invalidValue } from '../../apis/machinery/names.ts';
import { group, resource } from '../../apis/names.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { conflict } from './conflict.ts';
import { type DecodedPart, type DecodedSession, decodePatched, decodeSession, invalidSession } from './decode.ts';
import type { FieldValidation } from './write-options.ts';

/**
 * What a request makes of a Session as it is now; asked again when somebody else has written it meanwhile. All of the
 * result is still to be validated, but it is the Session of that name, at that resourceVersion.
 * @throws ApiError Conflict when the client means another state of the Session, and whatever is wrong with the request.
 */
export type SessionChange = (current: Session, part: DecodedPart) => DecodedSession;

type Patch = (target: unknown, patch: unknown) => unknown;

/** The patches that are served, by media type. */
const patches: Readonly<Record<string, Patch>> = {
  'application/json-patch+json': applyJsonPatch,
  'application/merge-patch+json': applyMergePatch,
};

/** Media types of patches, as OpenAPI lists them. */
export const patchTypes = Object.keys(patches);

/** PUT: the Session as the client sent it, which must say what it was made from. */
export function replacement(body: Buffer, fieldValidation: FieldValidation): SessionChange {
  return (current, part) => {
    const decoded = decodeSession(body, fieldValidation, part);
    const { uid, resourceVersion } = decoded.metadata;
    checkNames(decoded, current);
    if (resourceVersion === undefined || resourceVersion === '') {
      const cause = invalidValue('metadata.resourceVersion', 0, 'must be specified for an update');
      throw invalidSession(current.metadata.name ?? '', [cause]);
    }
    if (uid !== undefined && uid !== '' && uid !== current.metadata.uid) {
      const problem = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.metadata.uid}`;
      throw conflict(current.metadata.name ?? '', problem);
    }
    checkVersion(decoded, current);
    return decoded;
  };
}

/**
 * PATCH: the Session with a patch applied.
 * @throws ApiError BadRequest.
 */
export function patched(apply: Patch, body: Buffer, fieldValidation: FieldValidation): SessionChange {
  const patch = parsePatch(body);
  return (current, part) => {
    const decoded = decodePatched(apply(current, patch), fieldValidation, part);
    checkNames(decoded, current);
    checkVersion(decoded, current);
    return decoded;
  };
}

/**
 * What a media type of patches does.
 * @throws ApiError UnsupportedMediaType.
 */
export function patchOf(contentType: string | undefined): Patch {
  const type = (contentType ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  const apply = Object.hasOwn(patches, type) ? patches[type] : undefined;
  if (apply !== undefined) return apply;
  const message = `the body of the request was in an unknown format - accepted media types include: ${patchTypes.join(', ')}`;
  throw new ApiError('UnsupportedMediaType', message, { details: { group, kind: resource } });
}

function parsePatch(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ApiError('BadRequest', `error decoding patch: ${error.message}`);
  }
}

function checkNames({ metadata }: DecodedSession, { metadata: current }: Session): void {
  if (metadata.namespace && metadata.namespace !== current.namespace) {
    const message = 'the namespace of the provided object does not match the namespace sent on the request';
    throw new ApiError('BadRequest', message);
  }
  if (metadata.name !== current.name) {
    const message = `the name of the object (${metadata.name ?? ''}) does not match the name on the URL (${current.name})`;
    throw new ApiError('BadRequest', message);
  }
}

/** A patch that takes the resourceVersion away means whatever state there is. */
function checkVersion({ metadata: { resourceVersion } }: DecodedSession, { metadata: current }: Session): void {
  if (resourceVersion === undefined || resourceVersion === '' || resourceVersion === current.resourceVersion) return;
  const problem = 'the object has been modified; please apply your changes to the latest version and try again';
  throw conflict(current.name ?? '', problem);
}
