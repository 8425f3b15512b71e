import { clip, mostCauses } from './errors.ts';
import type { StatusCause } from './meta.ts';
import { unsupportedValue } from './names.ts';

/** See {@link Schema}. */
export const patternMeaning = Symbol('patternMeaning');

/** The part of JSON Schema that Kubernetes structural schemas use, and that TypeBox builds. */
export interface Schema {
  type?: string | undefined;
  description?: string;
  properties?: Record<string, Schema>;
  required?: readonly string[];
  items?: Schema;
  additionalProperties?: Schema | boolean;
  enum?: readonly unknown[];
  pattern?: string;
  /** What the pattern means, in words that follow "must"; a symbol, so that no published schema shows it. */
  [patternMeaning]?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  maxItems?: number;
}

/** What a value checked against a schema has wrong. */
export interface SchemaFindings {
  /** In the words of a CRD's validation (k8s.io/kube-openapi/pkg/validation). */
  causes: StatusCause[];
  /** Paths of fields that the schema does not have. */
  unknownFields: string[];
}

/**
 * Checks a JSON value against a structural schema and returns a copy that holds only known fields, as a CRD prunes.
 * The copy is made of fresh plain objects, so a hostile `__proto__` key cannot reach it.
 */
export function checkSchema(value: unknown, schema: Schema, path: string): SchemaFindings & { pruned: unknown } {
  const findings: SchemaFindings = { causes: [], unknownFields: [] };
  const pruned = check(value, schema, path, findings);
  return { ...findings, pruned };
}

function check(value: unknown, schema: Schema, path: string, findings: SchemaFindings): unknown {
  // More would help nobody, and would let a small body cost a large answer.
  if (findings.causes.length >= mostCauses) return undefined;
  const actual = typeOf(value);
  if (schema.type !== undefined && actual !== schema.type && !(schema.type === 'number' && actual === 'integer')) {
    findings.causes.push({
      reason: 'FieldValueTypeInvalid',
      message: `Invalid value: ${quote(actual)}: ${path} in body must be of type ${schema.type}: ${quote(actual)}`,
      field: path,
    });
    checkEnum(value, schema, path, findings);
    return undefined;
  }
  if (schema.type === 'object') return checkObject(value as Record<string, unknown>, schema, path, findings);
  if (schema.type === 'array') return checkArray(value as unknown[], schema, path, findings);
  checkScalar(value, schema, path, findings);
  return value;
}

function checkObject(value: Record<string, unknown>, schema: Schema, path: string, findings: SchemaFindings): object {
  const pruned: Record<string, unknown> = {};
  for (const name of schema.required ?? []) {
    if (!Object.hasOwn(value, name) || value[name] === null) {
      findings.causes.push({ reason: 'FieldValueRequired', message: 'Required value', field: join(path, name) });
    }
  }
  for (const [name, member] of Object.entries(value)) {
    const known = Object.hasOwn(schema.properties ?? {}, name)
      ? schema.properties?.[name]
      : schema.additionalProperties;
    if (known === undefined || known === false) {
      if (findings.unknownFields.length < mostCauses) findings.unknownFields.push(join(path, clip(name)));
    } else if (member !== null) {
      // A null stands for an absent field, as the API machinery's decoder has it.
      const result = known === true ? member : check(member, known, join(path, name), findings);
      Object.defineProperty(pruned, name, { value: result, enumerable: true, writable: true, configurable: true });
    }
  }
  return pruned;
}

function checkArray(value: readonly unknown[], schema: Schema, path: string, findings: SchemaFindings): unknown[] {
  if (schema.maxItems !== undefined && value.length > schema.maxItems) {
    const message = `Too many: ${value.length}: must have at most ${schema.maxItems} items`;
    findings.causes.push({ reason: 'FieldValueTooMany', message, field: path });
    return [];
  }
  const items = schema.items;
  return items === undefined
    ? [...value]
    : value.map((item, index) => check(item, items, `${path}[${index}]`, findings));
}

function checkScalar(value: unknown, schema: Schema, path: string, findings: SchemaFindings): void {
  const complain = (reason: string, message: string) => findings.causes.push({ reason, message, field: path });
  checkEnum(value, schema, path, findings);
  if (typeof value === 'string') {
    if (schema.maxLength !== undefined && value.length > schema.maxLength) {
      complain('FieldValueTooLong', `Too long: may not be more than ${schema.maxLength} bytes`);
    } else if (schema.pattern !== undefined && !new RegExp(schema.pattern).test(value)) {
      const meaning = schema[patternMeaning];
      const rule = meaning === undefined ? `${path} in body should match '${schema.pattern}'` : `must ${meaning}`;
      complain('FieldValueInvalid', `Invalid value: ${quote(value)}: ${rule}`);
    }
    if (schema.minLength !== undefined && value.length < schema.minLength) {
      complain(
        'FieldValueInvalid',
        `Invalid value: ${quote(value)}: ${path} in body should be at least ${schema.minLength} chars long`,
      );
    }
  }
  if (typeof value === 'number') {
    if (schema.minimum !== undefined && value < schema.minimum) {
      complain(
        'FieldValueInvalid',
        `Invalid value: ${value}: ${path} in body should be greater than or equal to ${schema.minimum}`,
      );
    }
    if (schema.maximum !== undefined && value > schema.maximum) {
      complain(
        'FieldValueInvalid',
        `Invalid value: ${value}: ${path} in body should be less than or equal to ${schema.maximum}`,
      );
    }
  }
}

/** The words of a closed list; a value of another type is none of them either. */
function checkEnum(value: unknown, schema: Schema, path: string, findings: SchemaFindings): void {
  if (schema.enum === undefined || schema.enum.includes(value)) return;
  findings.causes.push(unsupportedValue(path, value, schema.enum.map(String)));
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

function quote(text: string): string {
  return JSON.stringify(clip(text));
}
