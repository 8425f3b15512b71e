import { isEmpty } from './compare.ts';
import { type FieldSchema, itemElement, itemsOf, memberSchema, membersOf, shapeOf } from './field-schema.ts';
import type { FieldSet } from './field-set.ts';
import { fieldElement } from './path-element.ts';

/** A value without some of its fields; null where nothing is left (structured-merge-diff, typed/remove.go). */
export function removeFields(value: unknown, fields: FieldSet, schema: FieldSchema): unknown {
  if (schema.type !== 'object' && schema.type !== 'array') return value;
  if (shapeOf(schema) === 'leaf' || isEmpty(value)) return null;
  return schema.type === 'array' ? removeItems(value, fields, schema) : removeMembers(value, fields, schema);
}

function removeItems(value: unknown, fields: FieldSet, schema: FieldSchema): unknown {
  const kept = (itemsOf(value) ?? []).flatMap((item) => {
    const node = fields.get(itemElement(schema, item));
    if (node?.member === true) return [];
    return [node === undefined ? item : removeFields(item, node.children, schema.items ?? {})];
  });
  return kept.length === 0 ? null : kept;
}

function removeMembers(value: unknown, fields: FieldSet, schema: FieldSchema): unknown {
  const kept = Object.entries(membersOf(value) ?? {}).flatMap(([name, member]) => {
    const node = fields.get(fieldElement(name));
    if (node?.member === true) return [];
    return [
      [name, node === undefined ? member : removeFields(member, node.children, memberSchema(schema, name) ?? {})],
    ];
  });
  return kept.length === 0 ? null : Object.fromEntries(kept);
}
