import type { FieldSet } from './field-set.ts';
import { fieldNameOf, keyElement, type PathElement, valueElement } from './path-element.ts';

/** What of a structural schema says who owns what (KEP-555; k8s.io/kube-openapi/pkg/schemaconv). */
export interface FieldSchema {
  type?: string | undefined;
  properties?: Readonly<Record<string, FieldSchema>>;
  additionalProperties?: FieldSchema | boolean;
  items?: FieldSchema;
  /** Of a key: what an item has that does not say. */
  default?: unknown;
  /** Absent: atomic. */
  'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map';
  'x-kubernetes-list-map-keys'?: readonly string[];
  /** Absent: granular. */
  'x-kubernetes-map-type'?: 'atomic' | 'granular';
}

/** How a value is owned: as a whole, or by its members or items. */
export type Shape = 'leaf' | 'map' | 'list';

export type Members = Readonly<Record<string, unknown>>;

export function shapeOf(schema: FieldSchema): Shape {
  if (schema.type === 'object') return schema['x-kubernetes-map-type'] === 'atomic' ? 'leaf' : 'map';
  if (schema.type !== 'array') return 'leaf';
  return (schema['x-kubernetes-list-type'] ?? 'atomic') === 'atomic' ? 'leaf' : 'list';
}

/** Schema of a map's member; undefined when there can be none of that name. */
export function memberSchema(schema: FieldSchema, name: string): FieldSchema | undefined {
  if (isDeclared(schema, name)) return schema.properties?.[name];
  return typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined;
}

/** Whether a map has a field of that name by its schema, and not because somebody put it there. */
export function isDeclared(schema: FieldSchema, name: string): boolean {
  return schema.properties !== undefined && Object.hasOwn(schema.properties, name);
}

/** Schema of what a step leads to. */
function schemaBelow(schema: FieldSchema, element: PathElement): FieldSchema | undefined {
  const name = fieldNameOf(element);
  return name === undefined ? schema.items : memberSchema(schema, name);
}

/** An item of a list that cannot be told from others. */
export class UnidentifiedItem extends Error {}

/**
 * The step to an item of a set or map list.
 * @throws UnidentifiedItem
 */
export function itemElement(schema: FieldSchema, item: unknown): PathElement {
  if (schema['x-kubernetes-list-type'] === 'map') return keyedElement(schema, item);
  if (item === null) throw new UnidentifiedItem("associative list without keys has an element that's an explicit null");
  if (Array.isArray(item)) {
    throw new UnidentifiedItem('not supported: associative list with lists as elements');
  }
  if (typeof item === 'object') {
    throw new UnidentifiedItem("associative list without keys has an element that's a map type");
  }
  return valueElement(item);
}

function keyedElement(schema: FieldSchema, item: unknown): PathElement {
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  if (item === null) throw new UnidentifiedItem('associative list with keys may not have a null element');
  if (!isMembers(item)) throw new UnidentifiedItem('associative list with keys may not have non-map elements');
  const values = keys.flatMap((key) => {
    const value = Object.hasOwn(item, key) ? item[key] : schema.items?.properties?.[key]?.default;
    return value === undefined ? [] : [[key, value] as const];
  });
  if (values.length === 0) {
    const names = keys.map((key) => JSON.stringify(key)).join(' ');
    throw new UnidentifiedItem(
      `associative list with keys has an element that omits all key fields [${names}] (and doesn't have default values for any key fields)`,
    );
  }
  return keyElement(Object.fromEntries(values));
}

/** A map's members; undefined when it is absent or null. */
export function membersOf(value: unknown): Members | undefined {
  return isMembers(value) ? value : undefined;
}

/** A list's items; undefined when it is absent or null. */
export function itemsOf(value: unknown): readonly unknown[] | undefined {
  return Array.isArray(value) ? value : undefined;
}

export function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The set with every declared field in it that has something below in it. */
export function withDeclaredParents(set: FieldSet, schema: FieldSchema | undefined): FieldSet {
  if (schema === undefined) return set;
  return new Map(
    [...set].map(([element, { member, children }]) => {
      const name = fieldNameOf(element);
      const parent = children.size > 0 && name !== undefined && isDeclared(schema, name);
      return [
        element,
        { member: member || parent, children: withDeclaredParents(children, schemaBelow(schema, element)) },
      ];
    }),
  );
}

/** The set with what is below a field that is owned as a whole replaced by that field: it may come from an older schema. */
export function withWholes(set: FieldSet, schema: FieldSchema): FieldSet {
  return new Map(
    [...set].map(([element, node]) => {
      const below = schemaBelow(schema, element);
      if (below === undefined || node.children.size === 0) return [element, node];
      const isWhole = shapeOf(below) === 'leaf' && (below.type === 'object' || below.type === 'array');
      if (isWhole) return [element, { member: true, children: new Map() }];
      return [element, { member: node.member, children: withWholes(node.children, below) }];
    }),
  );
}
