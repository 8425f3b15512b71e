import { ApiError, invalid } from '../../apis/machinery/errors.ts';
import { decodeGo, GoTypeError, kindOf, typeMetaStruct, typeUnknown } from '../../apis/machinery/go-decoding.ts';
import { JsonSyntaxError, parseJson } from '../../apis/machinery/json.ts';
import type { ObjectMeta, StatusCause } from '../../apis/machinery/meta.ts';
import { invalidValue } from '../../apis/machinery/names.ts';
import { goQuote } from '../../apis/machinery/quote.ts';
import { checkSchema, type Schema } from '../../apis/machinery/schema.ts';
import { parseYaml, YamlError } from '../../apis/machinery/yaml.ts';
import { group, groupVersion, kind, version } from '../../apis/names.ts';
import { objectMetaType } from '../../apis/v1alpha1/object-meta-type.ts';
import { type SessionSpec, sessionSpec, sessionStatus } from '../../apis/v1alpha1/types.ts';
import type { MediaType } from '../http/negotiation.ts';
import type { FieldValidation } from './write-options.ts';

const sessionSchema: Schema = {
  type: 'object',
  properties: {
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    // Decoded by itself, as the API machinery does.
    metadata: { type: 'object', additionalProperties: true },
    spec: sessionSpec as Schema,
    status: sessionStatus as Schema,
  },
  required: ['spec'],
};

/** A Session as a client sent it: metadata of the right shape, unknown fields dropped. */
export interface DecodedSession {
  metadata: ObjectMeta;
  /** Of the right shape if there are no causes. */
  spec: SessionSpec;
  /** What the schema finds wrong with the spec; told together with what the rules of metadata find. */
  causes: StatusCause[];
  /** Texts for Warning headers. */
  warnings: string[];
}

/** How much of a Session is looked at: of one whose stored spec cannot be read only the metadata can be changed. */
export type DecodedPart = 'session' | 'metadata';

/** A request's body and what it is written in. */
export interface ObjectBody {
  bytes: Buffer;
  format: MediaType;
}

/**
 * Decodes a request body as a Session, in the order and the words of k8s.io/apiserver and apiextensions-apiserver.
 * @throws ApiError BadRequest (not a Session, a field of metadata of the wrong type, or unknown fields under Strict).
 */
export function decodeSession({ bytes, format }: ObjectBody, fieldValidation: FieldValidation): DecodedSession {
  const text = bytes.toString('utf8');
  try {
    const { value, problems } = parse(text, format);
    return decodeValue(value, { text: () => text, problems, fieldValidation, isPatched: false });
  } catch (error) {
    if (error instanceof Unrecognized) {
      const message = `the object provided is unrecognized (must be of type ${kind}): ${error.message} (${summary(bytes)})`;
      throw new ApiError('BadRequest', message);
    }
    if (!(error instanceof Undecodable)) throw error;
    throw new ApiError(
      'BadRequest',
      `${error.kind} in version ${goQuote(error.version)} cannot be handled as a ${kind}: ${error.message}`,
    );
  }
}

/**
 * Takes what a patch has made of a Session.
 * @param problems what a strict reading finds wrong with the patch itself.
 * @throws ApiError Invalid (no Session any more, or unknown fields under Strict).
 */
export function decodePatched(
  value: unknown,
  fieldValidation: FieldValidation,
  part: DecodedPart = 'session',
  problems: readonly string[] = [],
): DecodedSession {
  const text = () => canonicalText(value);
  try {
    const decoded = decodeValue(value, { text, problems, fieldValidation, isPatched: true });
    return part === 'session' ? decoded : { ...decoded, causes: [] };
  } catch (error) {
    if (!(error instanceof Unrecognized || error instanceof Undecodable)) throw error;
    const message = `Invalid value: ${goQuote(text())}: ${error.message}`;
    throw invalid('', '', '', [{ reason: 'FieldValueInvalid', message, field: 'patch' }]);
  }
}

/** A text that is no object of any kind. */
class Unrecognized extends Error {}

/** An object that cannot be a Session. */
class Undecodable extends Error {
  readonly kind: string;
  readonly version: string;

  constructor(message: string, type: { kind: string; version: string }) {
    super(message);
    this.kind = type.kind;
    this.version = type.version;
  }
}

function parse(text: string, format: MediaType): { value: unknown; problems: string[] } {
  try {
    if (format === 'application/yaml') {
      const { value, duplicates } = parseYaml(text);
      return { value, problems: duplicates };
    }
    const { value, duplicates } = parseJson(text);
    return { value, problems: duplicates.map((path) => `duplicate field ${goQuote(path)}`) };
  } catch (error) {
    if (error instanceof YamlError) throw new Unrecognized(error.message);
    if (error instanceof JsonSyntaxError) throw new Unrecognized(`${typeUnknown}: ${error.message}`);
    throw error;
  }
}

interface Decoding {
  /** The whole of it, as errors repeat it. */
  text: () => string;
  problems: readonly string[];
  fieldValidation: FieldValidation;
  /** Whether a patch has made it: then its apiVersion is looked at by the validation only. */
  isPatched: boolean;
}

function decodeValue(value: unknown, { text, problems, fieldValidation, isPatched }: Decoding): DecodedSession {
  const type = typeOf(value, text);
  const members = value as Record<string, unknown>;
  const { metadata, unknown: unknownMetadata } = decodeMetadata(members.metadata, type);
  const { causes, unknownFields, pruned } = pruneFor(members, type);
  const unknown = [...unknownMetadata, ...unknownFields.sort()].map((path) => `unknown field ${goQuote(path)}`);
  const strict = [...problems, ...unknown];
  if (fieldValidation === 'Strict' && strict.length > 0) {
    throw new Undecodable(`strict decoding error: ${strictTexts(problems, unknown)}`, type);
  }
  const warnings = fieldValidation === 'Warn' ? strict : [];
  refuseType(type, metadata, { isPatched, warnings });
  // Nobody writes a status, so nothing can be wrong with one.
  const told = causes.filter(({ field = '' }) => !/^status(?:\.|\[|$)/.test(field));
  return { metadata, spec: (pruned as { spec?: SessionSpec }).spec as SessionSpec, causes: told, warnings };
}

/** @throws ApiError of an object that is well-formed, but of another type. */
function refuseType(
  type: TypeMeta,
  { name = '' }: ObjectMeta,
  { isPatched, warnings }: { isPatched: boolean; warnings: readonly string[] },
): void {
  const { apiVersion } = type;
  if (apiVersion !== groupVersion && !isPatched) {
    const message = `the API version in the data (${apiVersion}) does not match the expected API version (${groupVersion})`;
    throw new ApiError('BadRequest', message, { warnings });
  }
  if (apiVersion === '') {
    const problem = "Object 'apiVersion' is missing in 'object has no apiVersion field'";
    const details = { causes: [{ message: problem } as StatusCause] };
    throw new ApiError('InternalError', `Internal error occurred: ${problem}`, { details, warnings });
  }
  const causes: StatusCause[] = [];
  if (type.kind !== kind) causes.push(invalidValue('kind', type.kind, `must be ${kind}`));
  if (apiVersion !== groupVersion) causes.push(invalidValue('apiVersion', apiVersion, `must be ${groupVersion}`));
  const [itsGroup = ''] = apiVersion.includes('/') ? apiVersion.split('/') : [];
  if (causes.length > 0) throw invalid(type.kind, itsGroup, name, causes).warning(warnings);
}

/** go-yaml tells all of its problems as one. */
function strictTexts(problems: readonly string[], unknown: readonly string[]): string {
  const isYaml = problems.some((problem) => problem.startsWith('line '));
  const told = isYaml ? [['yaml: unmarshal errors:', ...problems].join('\n  ')] : problems;
  return [...told, ...unknown].join(', ');
}

interface TypeMeta {
  apiVersion: string;
  kind: string;
  /** Version without its group. */
  version: string;
}

function typeOf(value: unknown, text: () => string): TypeMeta {
  const found = kindOf(value);
  if (found !== 'object' && found !== 'null') {
    throw new Unrecognized(`${typeUnknown}: json: cannot unmarshal ${found} into Go value of type ${typeMetaStruct}`);
  }
  const members = (value ?? {}) as Record<string, unknown>;
  for (const [name, member] of Object.entries(members)) {
    if ((name !== 'apiVersion' && name !== 'kind') || member === null || typeof member === 'string') continue;
    const problem = `json: cannot unmarshal ${kindOf(member)} into Go struct field .${name} of type string`;
    throw new Unrecognized(`${typeUnknown}: ${problem}`);
  }
  const apiVersion = textMember(members, 'apiVersion');
  const its = textMember(members, 'kind');
  const parts = apiVersion.split('/');
  if (parts.length > 2) throw new Unrecognized(`unexpected GroupVersion string: ${apiVersion}`);
  if (its === '') throw new Unrecognized(`Object 'Kind' is missing in '${text()}'`);
  return { apiVersion, kind: its, version: parts.at(-1) ?? '' };
}

function textMember(members: Record<string, unknown>, name: string): string {
  const member = Object.hasOwn(members, name) ? members[name] : undefined;
  return typeof member === 'string' ? member : '';
}

function decodeMetadata(value: unknown, type: TypeMeta): { metadata: ObjectMeta; unknown: string[] } {
  try {
    const decoded = decodeGo(value, objectMetaType);
    return {
      metadata: (decoded.value ?? {}) as ObjectMeta,
      unknown: decoded.unknown.map((path) => `metadata.${path}`),
    };
  } catch (error) {
    if (error instanceof GoTypeError) throw new Undecodable(error.message, type);
    throw error;
  }
}

/** Only objects of our kind are pruned; another version of the group has a schema without fields. */
function pruneFor(members: Record<string, unknown>, type: TypeMeta): ReturnType<typeof checkSchema> {
  const [itsGroup] = type.apiVersion.split('/');
  if (type.kind !== kind || itsGroup !== group) return { causes: [], unknownFields: [], pruned: {} };
  if (type.version === version) return checkSchema(members, sessionSchema, '');
  const known = new Set(['apiVersion', 'kind', 'metadata']);
  return { causes: [], unknownFields: Object.keys(members).filter((name) => !known.has(name)), pruned: {} };
}

/** The beginning of what was sent, in hexadecimal when it is no JSON object (k8s.io/apiserver, summarizeData). */
function summary(bytes: Buffer): string {
  if (bytes.length === 0) return '<empty>';
  const shown = bytes.subarray(0, 30).toString(bytes[0] === 0x7b ? 'utf8' : 'hex');
  return bytes.length > 30 ? `${shown} ...` : shown;
}

/** JSON with members in the order of their names, as Go writes maps. */
function canonicalText(value: unknown): string {
  return JSON.stringify(value, (_name, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}

/** The 422 of a Session with every cause. */
export function invalidSession(name: string, causes: readonly StatusCause[]): ApiError {
  return invalid(kind, group, name, causes);
}

const blocking = new Set([
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
]);

/** Causes of which one is so fundamental that rules between fields were not looked at; then they say so. */
export function blockedCauses(causes: readonly StatusCause[]): StatusCause[] | undefined {
  if (!causes.some(({ reason }) => blocking.has(reason))) return undefined;
  const message =
    'Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation';
  return [...causes, { reason: 'FieldValueInvalid', message, field: '<nil>' }];
}
