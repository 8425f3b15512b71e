import {
  type FieldSchema,
  isDeclared,
  itemElement,
  itemsOf,
  memberSchema,
  membersOf,
  shapeOf,
} from './field-schema.ts';
import { type FieldSet, FieldSetBuilder } from './field-set.ts';
import { fieldElement, type PathElement } from './path-element.ts';

/** The fields that a value of a schema has: what who applies it owns (structured-merge-diff, typed/tofieldset.go). */
export function fieldsOf(value: unknown, schema: FieldSchema): FieldSet {
  const found = new FieldSetBuilder();
  collect(value, schema, [], found);
  return found.fields;
}

function collect(value: unknown, schema: FieldSchema, path: readonly PathElement[], found: FieldSetBuilder): void {
  const shape = shapeOf(schema);
  if (shape === 'leaf') found.insert(path);
  else if (shape === 'list') collectItems(itemsOf(value) ?? [], schema, path, found);
  else {
    for (const [name, member] of Object.entries(membersOf(value) ?? {})) {
      const below = [...path, fieldElement(name)];
      collect(member, memberSchema(schema, name) ?? {}, below, found);
      const members = membersOf(member);
      const isEmpty = member === null || (members !== undefined && Object.keys(members).length === 0);
      if (isEmpty || !isDeclared(schema, name)) found.insert(below);
    }
  }
}

function collectItems(
  items: readonly unknown[],
  schema: FieldSchema,
  path: readonly PathElement[],
  found: FieldSetBuilder,
): void {
  const times = new Map<PathElement, number>();
  const elements = items.map((item) => itemElement(schema, item));
  for (const element of elements) times.set(element, (times.get(element) ?? 0) + 1);
  for (const [index, element] of elements.entries()) {
    const below = [...path, element];
    // Of items that are there twice, nobody owns what is in them.
    if (times.get(element) === 1) collect(items[index], schema.items ?? {}, below, found);
    found.insert(below);
  }
}
