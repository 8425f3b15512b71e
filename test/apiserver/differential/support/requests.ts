import { stringify } from 'yaml';
import type { DifferentialCase, Step } from './compare.ts';
import type { Side } from './side.ts';
import type { WireRequest } from './wire.ts';

export const json = { 'content-type': 'application/json' };
export const yaml = { 'content-type': 'application/yaml' };
export const jsonPatch = { 'content-type': 'application/json-patch+json' };
export const mergePatch = { 'content-type': 'application/merge-patch+json' };

/** Members of metadata and spec are merged into a valid object, all others put in place. */
export type Change = { metadata?: object; spec?: object; [name: string]: unknown };

export type Extra = Pick<WireRequest, 'query' | 'headers'>;

/** The two formats in which an object can be sent. */
export const formats = {
  JSON: { headers: json, write: (value: unknown) => JSON.stringify(value) },
  YAML: { headers: yaml, write: (value: unknown) => stringify(value, { version: '1.1' }) },
} as const;

export type Format = keyof typeof formats;

/** POST of a manifest with a change. */
export function create(
  change: Change | ((side: Side) => Change) = {},
  extra: Extra = {},
  format: Format = 'JSON',
): Step {
  return (side) => ({
    method: 'POST',
    path: side.collection,
    ...extra,
    headers: { ...formats[format].headers, ...extra.headers },
    body: formats[format].write(side.manifest(typeof change === 'function' ? change(side) : change)),
  });
}

/** POST of a body as it is. */
export function createRaw(body: string | Buffer | ((side: Side) => string), extra: Extra = {}): Step {
  return (side) => ({
    method: 'POST',
    path: side.collection,
    headers: json,
    ...extra,
    body: typeof body === 'function' ? body(side) : body,
  });
}

/** PUT of the object as it was given or answered last, changed. */
export function update(
  change: (object: Record<string, unknown>, side: Side) => void,
  extra: Extra = {},
  format: Format = 'JSON',
): Step {
  return (side) => {
    const object = structuredClone(side.object) as unknown as Record<string, unknown>;
    // A twin has none; that one is ignored is a case of its own.
    delete object.status;
    delete (object.metadata as Record<string, unknown>).managedFields;
    change(object, side);
    return {
      method: 'PUT',
      path: side.item(),
      ...extra,
      headers: { ...formats[format].headers, ...extra.headers },
      body: formats[format].write(object),
    };
  };
}

/** PUT of a body as it is. */
export function updateRaw(body: string | Buffer | ((side: Side) => string), extra: Extra = {}): Step {
  return (side) => ({
    method: 'PUT',
    path: side.item(),
    headers: json,
    ...extra,
    body: typeof body === 'function' ? body(side) : body,
  });
}

export function patchJson(operations: unknown, extra: Extra = {}): Step {
  return patch(jsonPatch, operations, extra);
}

export function patchMerge(document: unknown, extra: Extra = {}): Step {
  return patch(mergePatch, document, extra);
}

function patch(type: Record<string, string>, body: unknown, extra: Extra): Step {
  return (side) => {
    const value: unknown = typeof body === 'function' ? (body as (side: Side) => unknown)(side) : body;
    return {
      method: 'PATCH',
      path: side.item(),
      ...extra,
      headers: { ...type, ...extra.headers },
      body: typeof value === 'string' ? value : JSON.stringify(value),
    };
  };
}

export function remove(body?: unknown, extra: Extra = {}): Step {
  return (side) => {
    const value: unknown = typeof body === 'function' ? (body as (side: Side) => unknown)(side) : body;
    return {
      method: 'DELETE',
      path: side.item(),
      ...extra,
      headers: { ...(value === undefined ? {} : json), ...extra.headers },
      ...(value === undefined ? {} : { body: typeof value === 'string' ? value : JSON.stringify(value) }),
    };
  };
}

export function read(extra: Extra = {}): Step {
  return (side) => ({ method: 'GET', path: side.item(), ...extra });
}

/** Cases of a table: name and requests. */
export function table(
  prefix: string,
  rows: Readonly<Record<string, readonly Step[] | Step | Omit<DifferentialCase, 'name'>>>,
  shared: Partial<DifferentialCase> = {},
): DifferentialCase[] {
  return Object.entries(rows).map(([name, row]) => {
    const own = typeof row === 'function' ? { requests: [row] } : 'requests' in row ? row : { requests: row };
    return { ...shared, ...own, name: `${prefix} ${name}` };
  });
}
