import { goQuote } from '../quote.ts';
import { compareBytes, goJson } from './go-json.ts';

/**
 * One step on the way to a field, as FieldsV1 writes it (structured-merge-diff, fieldpath/serialize-pe.go): `f:NAME`,
 * `k:{"KEY":VALUE}` of an item of a map list, `v:VALUE` of an item of a set, `i:INDEX`. Equal steps are equal texts.
 */
export type PathElement = string;

/** Kinds of steps in their order. */
const kinds = ['f', 'k', 'v', 'i'];

export function fieldElement(name: string): PathElement {
  return `f:${name}`;
}

export function keyElement(keys: Readonly<Record<string, unknown>>): PathElement {
  return `k:${goJson(keys)}`;
}

export function valueElement(value: unknown): PathElement {
  return `v:${goJson(value)}`;
}

/** Name of the field that a step leads to; undefined for an item of a list. */
export function fieldNameOf(element: PathElement): string | undefined {
  return element.startsWith('f:') ? element.slice(2) : undefined;
}

/**
 * A step as somebody else may have written it; undefined for one of a kind that nobody knows yet, which is ignored.
 * @throws SyntaxError
 */
export function parseElement(text: string): PathElement | undefined {
  if (text.length < 2 || text[1] !== ':') throw new SyntaxError(`no path element: ${JSON.stringify(text)}`);
  const content = text.slice(2);
  switch (text[0]) {
    case 'f':
      return text;
    case 'v':
      return valueElement(JSON.parse(content));
    case 'k': {
      const keys = JSON.parse(content) as unknown;
      if (typeof keys !== 'object' || keys === null || Array.isArray(keys)) throw new SyntaxError('keys are no object');
      return keyElement(keys as Record<string, unknown>);
    }
    case 'i':
      if (!/^[+-]?\d{1,15}$/.test(content)) throw new SyntaxError(`no index: ${JSON.stringify(content)}`);
      return `i:${Number(content)}`;
    default:
      return undefined;
  }
}

/** Order of steps (structured-merge-diff, PathElement.Compare). */
export function compareElements(a: PathElement, b: PathElement): number {
  const kind = kinds.indexOf(a.charAt(0)) - kinds.indexOf(b.charAt(0));
  if (kind !== 0) return kind;
  if (a.startsWith('i:')) return Number(a.slice(2)) - Number(b.slice(2));
  return compareBytes(a, b);
}

/** A path as conflicts show it: `.metadata.ownerReferences[uid="x"]`. */
export function pathText(path: readonly PathElement[]): string {
  return path.map(elementText).join('');
}

/** One step as errors show it. */
export function elementText(element: PathElement): string {
  const content = element.slice(2);
  switch (element.charAt(0)) {
    case 'f':
      return `.${content}`;
    case 'k': {
      const keys = Object.entries(JSON.parse(content) as Record<string, unknown>);
      return `[${keys.map(([name, value]) => `${name}=${valueText(value)}`).join(',')}]`;
    }
    case 'v':
      return `[=${valueText(JSON.parse(content))}]`;
    default:
      return `[${content}]`;
  }
}

function valueText(value: unknown): string {
  return typeof value === 'string' ? goQuote(value) : JSON.stringify(value);
}
