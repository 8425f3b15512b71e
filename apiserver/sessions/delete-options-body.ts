import { ApiError, clip } from '../../apis/machinery/errors.ts';
import { kindOf, typeMetaStruct, typeUnknown } from '../../apis/machinery/go-decoding.ts';
import { JsonSyntaxError, parseJson } from '../../apis/machinery/json.ts';
import { parseYaml, YamlError } from '../../apis/machinery/yaml.ts';
import { bodyFormat, type MediaType } from '../http/negotiation.ts';

/** DeleteOptions as they were sent: of the right types, and nothing else is known of them. */
export interface SentDeleteOptions {
  gracePeriodSeconds?: number;
  propagationPolicy?: string;
  orphanDependents?: boolean;
  preconditions?: { uid?: string; resourceVersion?: string };
  dryRun?: string[];
  ignoreStoreReadErrorWithClusterBreakingPotential?: boolean;
}

/** A Go type: what of JSON it takes, and its name in errors. */
interface GoType {
  takes: 'string' | 'boolean' | 'integer' | 'strings' | 'preconditions';
  name: string;
}

/** Fields and their Go types (k8s.io/apimachinery/pkg/apis/meta/v1/types.go, DeleteOptions). */
const optionTypes: Readonly<Record<string, GoType>> = {
  gracePeriodSeconds: { takes: 'integer', name: 'int64' },
  propagationPolicy: { takes: 'string', name: 'v1.DeletionPropagation' },
  orphanDependents: { takes: 'boolean', name: 'bool' },
  preconditions: { takes: 'preconditions', name: 'v1.Preconditions' },
  dryRun: { takes: 'strings', name: '[]string' },
  ignoreStoreReadErrorWithClusterBreakingPotential: { takes: 'boolean', name: 'bool' },
};
const preconditionTypes: Readonly<Record<string, GoType>> = {
  uid: { takes: 'string', name: 'types.UID' },
  resourceVersion: { takes: 'string', name: 'string' },
};

/** Kinds besides DeleteOptions that kube-apiserver's decoder of options knows. */
const otherKinds = new Set(['Status', 'GetOptions', 'ListOptions', 'CreateOptions', 'UpdateOptions', 'PatchOptions']);

/**
 * Decodes a body as DeleteOptions as k8s.io/apiserver does: of any API group, the last of equal members counts, and
 * unknown ones are ignored.
 * @throws ApiError BadRequest or UnsupportedMediaType.
 */
export function decodeDeleteOptions(body: Buffer, contentType: string | undefined): SentDeleteOptions {
  const value = parse(body, bodyFormat(contentType));
  if (value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw unparsed(`json: cannot unmarshal ${kindOf(value)} into Go value of type ${typeMetaStruct}`);
  }
  const members = value as Record<string, unknown>;
  checkKind(members);
  return readFields(members, optionTypes, 'DeleteOptions', '') as SentDeleteOptions;
}

function parse(body: Buffer, format: MediaType): unknown {
  try {
    const text = body.toString('utf8');
    return format === 'application/yaml' ? parseYaml(text).value : parseJson(text).value;
  } catch (error) {
    if (error instanceof YamlError) throw badRequest(error.message);
    if (error instanceof JsonSyntaxError) throw unparsed(error.message);
    throw error;
  }
}

function checkKind(members: Record<string, unknown>): void {
  const [version = 'meta.k8s.io/v1', kind = 'DeleteOptions'] = ['apiVersion', 'kind'].map((name) => {
    const value = Object.hasOwn(members, name) ? members[name] : null;
    if (typeof value === 'string') return value === '' ? undefined : clip(value);
    if (value === null) return undefined;
    throw unparsed(`json: cannot unmarshal ${kindOf(value)} into Go struct field .${name} of type string`);
  });
  if (version.split('/').length > 2) throw badRequest(`unexpected GroupVersion string: ${version}`);
  if (kind === 'DeleteOptions') return;
  if (otherKinds.has(kind)) throw badRequest(`converting (v1.${kind}) to (v1.DeleteOptions): unknown conversion`);
  throw badRequest(`no kind "${kind}" is registered for version "${version}" in scheme "pkg/runtime/scheme.go:111"`);
}

function readFields(
  members: Record<string, unknown>,
  types: Readonly<Record<string, GoType>>,
  struct: string,
  path: string,
): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(members)) {
    const type = Object.hasOwn(types, name) ? types[name] : undefined;
    if (type === undefined || value === null) continue;
    fields[name] = readField(value, type, { struct, path: `${path}${name}` });
  }
  return fields;
}

function readField(value: unknown, type: GoType, field: { struct: string; path: string }): unknown {
  switch (type.takes) {
    case 'string':
    case 'boolean':
      if (typeof value === type.takes) return value;
      break;
    case 'integer':
      if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 2 ** 63) return value;
      break;
    case 'strings':
      if (Array.isArray(value))
        return value.map((item) => readField(item ?? '', { takes: 'string', name: 'string' }, field));
      break;
    case 'preconditions':
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
        return readFields(value as Record<string, unknown>, preconditionTypes, 'Preconditions', `${field.path}.`);
      }
      break;
  }
  const found = type.takes === 'integer' && typeof value === 'number' ? `number ${goNumber(value)}` : kindOf(value);
  throw badRequest(
    `json: cannot unmarshal ${found} into Go struct field ${field.struct}.${field.path} of type ${type.name}`,
  );
}

function goNumber(value: number): string {
  return Number.isInteger(value) ? BigInt(value).toString() : String(value);
}

function unparsed(problem: string): ApiError {
  return badRequest(`${typeUnknown}: ${problem}`);
}

function badRequest(message: string): ApiError {
  return new ApiError('BadRequest', message);
}
