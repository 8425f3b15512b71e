import { compareElements, type PathElement, parseElement } from './path-element.ts';

/** Whether a field is in a set, and what of that which is below it is. */
export interface FieldNode {
  readonly member: boolean;
  readonly children: FieldSet;
}

/**
 * A set of fields, as a tree by path (structured-merge-diff, fieldpath.Set). No node of it is without a member.
 * Operations leave their arguments alone.
 */
export type FieldSet = ReadonlyMap<PathElement, FieldNode>;

export const noFields: FieldSet = new Map();

/** Steps of a path; no object of ours is nested a tenth as deep. */
const deepestPath = 100;
/** Fields that all managers of an object have together; what can be stored is a fraction of it. */
const mostFields = 5000;

interface MutableNode extends FieldNode {
  member: boolean;
  readonly children: Map<PathElement, MutableNode>;
}

/** Collects fields into a set. */
export class FieldSetBuilder {
  readonly #root = new Map<PathElement, MutableNode>();

  /** What was collected so far. */
  get fields(): FieldSet {
    return this.#root;
  }

  /** Adds one field; the whole object is none, and is ignored. */
  insert(path: readonly PathElement[]): this {
    let level = this.#root;
    for (const [index, element] of path.entries()) {
      let node = level.get(element);
      if (node === undefined) {
        node = { member: false, children: new Map() };
        level.set(element, node);
      }
      if (index === path.length - 1) node.member = true;
      level = node.children;
    }
    return this;
  }
}

export function unionOf(a: FieldSet, b: FieldSet): FieldSet {
  const result = new Map(a);
  for (const [element, node] of b) {
    const other = a.get(element);
    if (other === undefined) result.set(element, node);
    else {
      result.set(element, { member: other.member || node.member, children: unionOf(other.children, node.children) });
    }
  }
  return result;
}

export function intersectionOf(a: FieldSet, b: FieldSet): FieldSet {
  const result = new Map<PathElement, FieldNode>();
  for (const [element, node] of a) {
    const other = b.get(element);
    if (other === undefined) continue;
    const member = node.member && other.member;
    const children = intersectionOf(node.children, other.children);
    if (member || children.size > 0) result.set(element, { member, children });
  }
  return result;
}

/** What is in `a` and not in `b`, field by field. */
export function differenceOf(a: FieldSet, b: FieldSet): FieldSet {
  const result = new Map<PathElement, FieldNode>();
  for (const [element, node] of a) {
    const other = b.get(element);
    const member = node.member && other?.member !== true;
    const children = other === undefined ? node.children : differenceOf(node.children, other.children);
    if (member || children.size > 0) result.set(element, { member, children });
  }
  return result;
}

/** What is in `a`, is not in `b`, and is below nothing that is in `b`. */
export function withoutSubtrees(a: FieldSet, b: FieldSet): FieldSet {
  const result = new Map<PathElement, FieldNode>();
  for (const [element, node] of a) {
    const other = b.get(element);
    if (other?.member === true) continue;
    const children = other === undefined ? node.children : withoutSubtrees(node.children, other.children);
    if (node.member || children.size > 0) result.set(element, { member: node.member, children });
  }
  return result;
}

/** Every member's path, in the order in which kube-apiserver lists conflicts: the members of a level before what is below. */
export function* pathsOf(set: FieldSet, prefix: readonly PathElement[] = []): Generator<PathElement[]> {
  const sorted = sortedNodes(set);
  for (const [element, node] of sorted) if (node.member) yield [...prefix, element];
  for (const [element, node] of sorted) yield* pathsOf(node.children, [...prefix, element]);
}

/** A set as FieldsV1 (k8s.io/apimachinery/pkg/apis/meta/v1, FieldsV1), members in Go's order. */
export function encodeFields(set: FieldSet): Record<string, unknown> {
  return Object.fromEntries(
    sortedNodes(set).map(([element, { member, children }]) => [
      element,
      member && children.size > 0 ? { '.': {}, ...encodeFields(children) } : encodeFields(children),
    ]),
  );
}

/** Reads FieldsV1 that anybody may have written: what is of an unknown kind is dropped, and there is an end to how much is read. */
export class FieldsReader {
  #left = mostFields;

  /** @throws SyntaxError when it is none, or when there was too much by now. */
  read(value: unknown): FieldSet {
    return this.#node(value, 0).children;
  }

  #node(value: unknown, depth: number): FieldNode {
    if (value === null) return { member: true, children: noFields };
    if (typeof value !== 'object' || Array.isArray(value)) throw new SyntaxError('fields are no object');
    if (depth > deepestPath) throw new SyntaxError('fields are nested too deep');
    const children = new Map<PathElement, FieldNode>();
    let member = false;
    for (const [name, below] of Object.entries(value)) {
      this.#left -= 1;
      if (this.#left < 0) throw new SyntaxError('there are too many fields');
      if (name === '.') {
        member = true;
        continue;
      }
      const element = parseElement(name);
      if (element !== undefined) children.set(element, this.#node(below, depth + 1));
    }
    // A field without anything below is a member, said or not.
    return { member: member || children.size === 0, children };
  }
}

function sortedNodes(set: FieldSet): [PathElement, FieldNode][] {
  return [...set].sort(([a], [b]) => compareElements(a, b));
}
