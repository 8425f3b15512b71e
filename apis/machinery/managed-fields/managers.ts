import { isDeepStrictEqual } from 'node:util';
import { formatTime, parseTime } from '../time.ts';
import { encodeFields, type FieldSet, FieldsReader, unionOf } from './field-set.ts';
import { compareBytes } from './go-json.ts';

export type Operation = 'Apply' | 'Update';

/** One entry of metadata.managedFields (k8s.io/apimachinery/pkg/apis/meta/v1, ManagedFieldsEntry). */
export interface ManagedFieldsEntry {
  manager?: string;
  operation: Operation;
  apiVersion: string;
  /** RFC 3339, whole seconds. */
  time?: string;
  fieldsType: 'FieldsV1';
  fieldsV1: Record<string, unknown>;
  subresource?: string;
}

/** Who manages fields, and how. */
export interface Manager {
  name: string;
  operation: Operation;
  apiVersion: string;
  subresource?: string;
}

/** What one manager has. */
export interface ManagedSet {
  manager: Manager;
  time?: string;
  fields: FieldSet;
}

/** Sets by who has them; every manager at most once. Never changed in place. */
export type Managed = ReadonlyMap<ManagerKey, ManagedSet>;

/** One text for each manager. Who applies is one manager whatever version he applies. */
export type ManagerKey = string;

/** Updates of more managers than these are merged (managedfields/internal/fieldmanager.go, DefaultMaxUpdateManagers). */
const mostUpdaters = 10;
const ancientChanges = 'ancient-changes';

/** Members in the order of Go's struct, because ties are broken by these texts. */
export function keyOfManager({ name, operation, apiVersion, subresource }: Manager): ManagerKey {
  return JSON.stringify({
    ...(name === '' ? {} : { manager: name }),
    operation,
    ...(operation === 'Apply' ? {} : { apiVersion }),
    ...(subresource === undefined ? {} : { subresource }),
  });
}

/** Reads metadata.managedFields; undefined when it is broken (managedfields/internal/managedfields.go, DecodeManagedFields). */
export function decodeManaged(entries: readonly unknown[] | undefined): Managed | undefined {
  const managed = new Map<ManagerKey, ManagedSet>();
  const reader = new FieldsReader();
  for (const entry of entries ?? []) {
    const decoded = decodeEntry(entry, reader);
    if (decoded === undefined) return undefined;
    managed.set(keyOfManager(decoded.manager), decoded);
  }
  return managed;
}

function decodeEntry(entry: unknown, reader: FieldsReader): ManagedSet | undefined {
  const { manager, operation, apiVersion, time, fieldsType, fieldsV1, subresource } = (entry ?? {}) as Record<
    string,
    unknown
  >;
  if (operation !== 'Apply' && operation !== 'Update') return undefined;
  if (typeof apiVersion !== 'string' || apiVersion === '' || fieldsType !== 'FieldsV1') return undefined;
  const at = typeof time === 'string' ? parseTime(time) : undefined;
  const fields = readFields(fieldsV1, reader);
  if (fields === undefined) return undefined;
  return {
    manager: {
      name: typeof manager === 'string' ? manager : '',
      operation,
      apiVersion,
      ...(typeof subresource === 'string' && subresource !== '' ? { subresource } : {}),
    },
    ...(at === undefined ? {} : { time: formatTime(at) }),
    fields,
  };
}

function readFields(fieldsV1: unknown, reader: FieldsReader): FieldSet | undefined {
  try {
    return reader.read(fieldsV1 ?? {});
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Sets as metadata.managedFields, sorted as kube-apiserver does; undefined when nobody has anything. */
export function encodeManaged(managed: Managed): ManagedFieldsEntry[] | undefined {
  if (managed.size === 0) return undefined;
  const sorted = [...managed.values()].sort(compareSets);
  return sorted.map(({ manager: { name, operation, apiVersion, subresource }, time, fields }) => ({
    ...(name === '' ? {} : { manager: name }),
    operation,
    apiVersion,
    ...(time === undefined ? {} : { time }),
    fieldsType: 'FieldsV1',
    fieldsV1: encodeFields(fields),
    ...(subresource === undefined ? {} : { subresource }),
  }));
}

function compareSets(a: ManagedSet, b: ManagedSet): number {
  return (
    compareBytes(a.manager.operation, b.manager.operation) ||
    timeOf(a) - timeOf(b) ||
    compareBytes(a.manager.name, b.manager.name) ||
    compareBytes(a.manager.apiVersion, b.manager.apiVersion) ||
    compareBytes(a.manager.subresource ?? '', b.manager.subresource ?? '')
  );
}

function timeOf({ time }: ManagedSet): number {
  return time === undefined ? 0 : (parseTime(time) ?? 0);
}

/** Merges the oldest updaters until there are few enough (managedfields/internal/capmanagers.go). */
export function capUpdaters(managed: Managed): Managed {
  const updaters = [...managed].filter(([, { manager }]) => manager.operation === 'Update');
  if (updaters.length <= mostUpdaters) return managed;
  updaters.sort(([a, left], [b, right]) => timeOf(left) - timeOf(right) || compareBytes(a, b));
  const result = new Map(managed);
  const firsts = new Map<string, ManagerKey>();
  let count = updaters.length;
  for (const [key, set] of updaters) {
    if (count <= mostUpdaters) break;
    const { apiVersion } = set.manager;
    const first = firsts.get(apiVersion);
    if (first === undefined) {
      firsts.set(apiVersion, key);
      continue;
    }
    const bucket: Manager = { name: ancientChanges, operation: 'Update', apiVersion };
    const bucketKey = keyOfManager(bucket);
    const merged = result.get(bucketKey) ?? result.get(first);
    if (!result.has(bucketKey)) result.delete(first);
    result.delete(key);
    const fields = unionOf(set.fields, merged?.fields ?? new Map());
    result.set(bucketKey, { manager: bucket, ...(set.time === undefined ? {} : { time: set.time }), fields });
    count -= 1;
  }
  return result;
}

/** Whether two managedFields say the same but for when. */
export function differInTimesAlone(
  a: readonly ManagedFieldsEntry[] | undefined,
  b: readonly ManagedFieldsEntry[] | undefined,
): boolean {
  return !isDeepStrictEqual(a, b) && isDeepStrictEqual(a?.map(withoutTime), b?.map(withoutTime));
}

function withoutTime({ time: _, ...rest }: ManagedFieldsEntry): Omit<ManagedFieldsEntry, 'time'> {
  return rest;
}
