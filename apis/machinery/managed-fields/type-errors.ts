import { clip } from '../errors.ts';
import { type FieldSchema, isMembers, itemElement, memberSchema, UnidentifiedItem } from './field-schema.ts';
import { elementText, fieldElement, type PathElement } from './path-element.ts';

interface TypeError {
  path: string;
  problem: string;
}

/** So many are told: more would help nobody. */
const most = 32;
/** What is nested deeper is not shown in an error. */
const deepestShown = 16;

/**
 * Why a value is none of a schema, in the words of structured-merge-diff (typed/validate.go, typed/helpers.go); undefined
 * when it is one.
 */
export function typeProblem(value: unknown, schema: FieldSchema): string | undefined {
  const errors: TypeError[] = [];
  check(value, schema, '', errors);
  const texts = errors.slice(0, most).map(({ path, problem }) => (path === '' ? problem : `${path}: ${problem}`));
  if (texts.length <= 1) return texts[0];
  return ['errors:', ...texts.map((text) => `  ${text}`)].join('\n');
}

function check(value: unknown, schema: FieldSchema, path: string, errors: TypeError[]): void {
  if (value === null || errors.length >= most) return;
  if (schema.type === 'object') checkMembers(value, schema, path, errors);
  else if (schema.type === 'array') checkItems(value, schema, path, errors);
  else {
    const problem = scalarProblem(value, schema.type);
    if (problem !== undefined) errors.push({ path, problem });
  }
}

function checkMembers(value: unknown, schema: FieldSchema, path: string, errors: TypeError[]): void {
  if (!isMembers(value)) {
    errors.push({ path, problem: `expected map, got &{${clip(shown(value))}}` });
    return;
  }
  for (const [name, member] of Object.entries(value)) {
    const below = path + elementText(fieldElement(name));
    const known = memberSchema(schema, name);
    if (known !== undefined) check(member, known, below, errors);
    else if (schema.additionalProperties !== true) {
      errors.push({ path: below, problem: 'field not declared in schema' });
      return;
    }
  }
}

function checkItems(value: unknown, schema: FieldSchema, path: string, errors: TypeError[]): void {
  if (!Array.isArray(value)) {
    errors.push({ path, problem: `expected list, got &{${clip(shown(value))}}` });
    return;
  }
  const seen = new Set<PathElement>();
  for (const [index, item] of (value as unknown[]).entries()) {
    let element: PathElement = `i:${index}`;
    if (isIdentifying(schema)) {
      try {
        element = itemElement(schema, item);
      } catch (error) {
        if (!(error instanceof UnidentifiedItem)) throw error;
        errors.push({ path, problem: `element ${index}: ${error.message}` });
        return;
      }
      if (seen.has(element)) errors.push({ path, problem: `duplicate entries for key ${elementText(element)}` });
      seen.add(element);
    }
    check(item, schema.items ?? {}, path + elementText(element), errors);
  }
}

function isIdentifying(schema: FieldSchema): boolean {
  const type = schema['x-kubernetes-list-type'];
  return type === 'set' || type === 'map';
}

function scalarProblem(value: unknown, type: string | undefined): string | undefined {
  switch (type) {
    case 'string':
      if (typeof value === 'string') return undefined;
      return `expected string, got &value.valueUnstructured{Value:${clip(inGo(value))}}`;
    case 'boolean':
      return typeof value === 'boolean' ? undefined : `expected boolean, got &{${clip(shown(value))}}`;
    case 'integer':
    case 'number':
      return typeof value === 'number' ? undefined : `expected numeric (int or float), got ${typeInGo(value)}`;
    default:
      return undefined;
  }
}

/** As Go's fmt prints a value with %v. */
function shown(value: unknown, depth = 0): string {
  if (depth > deepestShown) return '…';
  if (value === null || value === undefined) return '<nil>';
  if (Array.isArray(value)) return `[${value.map((item) => shown(item, depth + 1)).join(' ')}]`;
  if (!isMembers(value)) return String(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[${members.map(([name, member]) => `${name}:${shown(member, depth + 1)}`).join(' ')}]`;
}

/** As Go's fmt prints a value with %#v. */
function inGo(value: unknown, depth = 0): string {
  if (depth > deepestShown) return '…';
  if (value === null || value === undefined) return 'interface {}(nil)';
  if (Array.isArray(value)) return `[]interface {}{${value.map((item) => inGo(item, depth + 1)).join(', ')}}`;
  if (!isMembers(value)) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[string]interface {}{${members.map(([name, member]) => `${JSON.stringify(name)}:${inGo(member, depth + 1)}`).join(', ')}}`;
}

function typeInGo(value: unknown): string {
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'string') return 'string';
  return Array.isArray(value) ? '[]interface {}' : 'map[string]interface {}';
}
