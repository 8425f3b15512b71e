import { ApiError, clip, invalid } from '../../apis/machinery/errors.ts';
import type { ObjectMeta, StatusCause } from '../../apis/machinery/meta.ts';
import { invalidValue } from '../../apis/machinery/names.ts';
import { checkSchema, type Schema } from '../../apis/machinery/schema.ts';
import { group, groupVersion, kind } from '../../apis/names.ts';
import { objectMetaSchema } from '../../apis/v1alpha1/object-meta-schema.ts';
import { type SessionSpec, sessionSpec } from '../../apis/v1alpha1/types.ts';
import type { FieldValidation } from './write-options.ts';

const sessionSchema: Schema = {
  type: 'object',
  properties: {
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    metadata: objectMetaSchema,
    spec: sessionSpec as Schema,
    // Nobody writes a status, but what was read may be sent back.
    status: { type: 'object', additionalProperties: true },
  },
  required: ['spec'],
};

const metadataSchema: Schema = {
  ...sessionSchema,
  properties: { ...sessionSchema.properties, spec: { type: 'object', additionalProperties: true } },
  required: [],
};

/** A Session as a client sent it: of the right shape, unknown fields dropped. */
export interface DecodedSession {
  metadata: ObjectMeta;
  spec: SessionSpec;
  /** Texts for Warning headers. */
  warnings: string[];
}

/** How much of a Session is looked at: of one whose stored spec cannot be read only the metadata can be changed. */
export type DecodedPart = 'session' | 'metadata';

/**
 * Decodes a request body as a Session.
 * @throws ApiError BadRequest (not a Session, or unknown fields under Strict), Invalid (a field of the wrong type).
 */
export function decodeSession(
  body: Buffer,
  fieldValidation: FieldValidation,
  part: DecodedPart = 'session',
): DecodedSession {
  const { causes, unknown, metadata, spec } = checkSession(parseJson(body), part);
  if (fieldValidation === 'Strict' && unknown.length > 0) throw undecodable(strictError(unknown));
  if (causes.length > 0) throw invalidSession(metadata.name ?? '', causes);
  return { metadata, spec, warnings: fieldValidation === 'Warn' ? unknown : [] };
}

/**
 * Takes what a patch has made of a Session.
 * @throws ApiError BadRequest (no Session any more), Invalid (a field of the wrong type, or unknown ones under Strict).
 */
export function decodePatched(
  value: unknown,
  fieldValidation: FieldValidation,
  part: DecodedPart = 'session',
): DecodedSession {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw undecodable('the patch leaves no JSON object');
  }
  const { causes, unknown, metadata, spec } = checkSession(value as Record<string, unknown>, part);
  if (fieldValidation === 'Strict' && unknown.length > 0) {
    throw invalidSession(metadata.name ?? '', [
      invalidValue('patch', clip(JSON.stringify(value)), strictError(unknown)),
    ]);
  }
  if (causes.length > 0) throw invalidSession(metadata.name ?? '', causes);
  return { metadata, spec, warnings: fieldValidation === 'Warn' ? unknown : [] };
}

function checkSession(
  value: Record<string, unknown>,
  part: DecodedPart,
): { metadata: ObjectMeta; spec: SessionSpec; causes: StatusCause[]; unknown: string[] } {
  if (value.apiVersion !== undefined && value.apiVersion !== groupVersion) {
    const message = `the API version in the data (${typeof value.apiVersion === 'string' ? clip(value.apiVersion) : typeof value.apiVersion}) does not match the expected API version (${groupVersion})`;
    throw new ApiError('BadRequest', message);
  }
  if (value.kind !== undefined && value.kind !== kind) {
    throw undecodable(
      `the kind in the data is ${JSON.stringify(typeof value.kind === 'string' ? clip(value.kind) : typeof value.kind)}`,
    );
  }
  const { causes, unknownFields, pruned } = checkSchema(value, part === 'session' ? sessionSchema : metadataSchema, '');
  const { metadata = {}, spec } = pruned as { metadata?: ObjectMeta; spec: SessionSpec };
  return { metadata, spec, causes, unknown: unknownFields.map((field) => `unknown field "${field}"`) };
}

function strictError(unknown: readonly string[]): string {
  return `strict decoding error: ${unknown.join(', ')}`;
}

/** The 422 of a Session with every cause. */
export function invalidSession(name: string, causes: readonly StatusCause[]): ApiError {
  return invalid(kind, group, name, causes);
}

function parseJson(body: Buffer): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw undecodable(error.message);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw undecodable('the body is not a JSON object');
  return value as Record<string, unknown>;
}

function undecodable(problem: string): ApiError {
  const [, version = ''] = groupVersion.split('/');
  return new ApiError('BadRequest', `${kind} in version "${version}" cannot be handled as a ${kind}: ${problem}`);
}
