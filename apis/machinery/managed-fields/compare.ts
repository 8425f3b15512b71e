import { isDeepStrictEqual } from 'node:util';
import {
  type FieldSchema,
  itemElement,
  itemsOf,
  type Members,
  memberSchema,
  membersOf,
  shapeOf,
} from './field-schema.ts';
import { type FieldSet, FieldSetBuilder } from './field-set.ts';
import { fieldElement, type PathElement } from './path-element.ts';

/** What became of each field; none is in two of the sets. */
export interface Comparison {
  removed: FieldSet;
  modified: FieldSet;
  added: FieldSet;
}

/** Compares two values of a schema, field by field (structured-merge-diff, typed/compare.go). */
export function compareFields(before: unknown, after: unknown, schema: FieldSchema): Comparison {
  const walk = new ComparingWalk();
  walk.compare(before, after, schema, []);
  return walk.comparison;
}

class ComparingWalk {
  readonly #removed = new FieldSetBuilder();
  readonly #modified = new FieldSetBuilder();
  readonly #added = new FieldSetBuilder();

  get comparison(): Comparison {
    return { removed: this.#removed.fields, modified: this.#modified.fields, added: this.#added.fields };
  }

  compare(before: unknown, after: unknown, schema: FieldSchema, path: readonly PathElement[]): void {
    const isLeaf = this.#isLeaf(before, after, schema);
    if (!isLeaf) this.#descend(before, after, schema, path);
    if (before === undefined) this.#added.insert(path);
    else if (after === undefined) this.#removed.insert(path);
    else if (isLeaf && !isDeepStrictEqual(before, after)) this.#modified.insert(path);
  }

  /** Empty ones are leaves, so that an empty one differs from none. */
  #isLeaf(before: unknown, after: unknown, schema: FieldSchema): boolean {
    const shape = shapeOf(schema);
    return shape === 'leaf' || (isEmpty(before) && isEmpty(after));
  }

  #descend(before: unknown, after: unknown, schema: FieldSchema, path: readonly PathElement[]): void {
    if (shapeOf(schema) === 'list') this.#compareItems(itemsOf(before), itemsOf(after), schema, path);
    else this.#compareMembers(membersOf(before) ?? {}, membersOf(after) ?? {}, schema, path);
  }

  #compareMembers(before: Members, after: Members, schema: FieldSchema, path: readonly PathElement[]): void {
    for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
      this.compare(own(before, name), own(after, name), memberSchema(schema, name) ?? {}, [
        ...path,
        fieldElement(name),
      ]);
    }
  }

  #compareItems(
    before: readonly unknown[] | undefined,
    after: readonly unknown[] | undefined,
    schema: FieldSchema,
    path: readonly PathElement[],
  ): void {
    const old = byElement(before ?? [], schema);
    const fresh = byElement(after ?? [], schema);
    const itemSchema = schema.items ?? {};
    for (const element of new Set([...old.keys(), ...fresh.keys()])) {
      const was = old.get(element) ?? [];
      const is = fresh.get(element) ?? [];
      const below = [...path, element];
      if (was.length <= 1 && is.length <= 1) this.compare(was[0], is[0], itemSchema, below);
      else if (was.length > 1 && is.length > 1) {
        if (!isDeepStrictEqual(was, is)) this.#modified.insert(below);
      } else if (was.length > 1) {
        if (is.length > 0) this.compare(undefined, is[0], itemSchema, below);
        this.#removed.insert(below);
      } else {
        if (was.length > 0) this.compare(was[0], undefined, itemSchema, below);
        this.#added.insert(below);
      }
    }
  }
}

function own(members: Members, name: string): unknown {
  return Object.hasOwn(members, name) ? members[name] : undefined;
}

/** Whether a map or list is absent, null or empty. */
export function isEmpty(value: unknown): boolean {
  return (itemsOf(value)?.length ?? Object.keys(membersOf(value) ?? {}).length) === 0;
}

function byElement(items: readonly unknown[], schema: FieldSchema): Map<PathElement, unknown[]> {
  const found = new Map<PathElement, unknown[]>();
  for (const item of items) {
    const element = itemElement(schema, item);
    found.set(element, [...(found.get(element) ?? []), item]);
  }
  return found;
}
