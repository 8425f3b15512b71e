import { isDeepStrictEqual } from 'node:util';
import { ApiError } from '../errors.ts';
import { formatTime } from '../time.ts';
import { type Comparison, compareFields } from './compare.ts';
import { FieldConflicts } from './conflicts.ts';
import { type FieldSchema, isMembers, type Members, withDeclaredParents, withWholes } from './field-schema.ts';
import {
  differenceOf,
  type FieldSet,
  FieldSetBuilder,
  intersectionOf,
  noFields,
  unionOf,
  withoutSubtrees,
} from './field-set.ts';
import { fieldsOf } from './fields-of.ts';
import { agreedFields, withLastApplied } from './last-applied.ts';
import {
  capUpdaters,
  decodeManaged,
  encodeManaged,
  keyOfManager,
  type Managed,
  type ManagedFieldsEntry,
  type ManagedSet,
  type Manager,
  type ManagerKey,
} from './managers.ts';
import { mergeApplied } from './merge.ts';
import { fieldElement } from './path-element.ts';
import { removeFields } from './remove.ts';
import { typeProblem } from './type-errors.ts';

/** A Kubernetes object as JSON. */
export type JsonObject = Members;

export interface FieldManagerOptions {
  /** Of the whole object, metadata included. */
  schema: FieldSchema;
  apiVersion: string;
  kind: string;
  /** Top-level fields that nobody owns, because they are not written by clients. */
  unowned: readonly string[];
}

export interface UpdateRequest {
  /** The name of who writes. */
  manager: string;
  /** Milliseconds since the epoch. */
  now: number;
}

export interface ApplyRequest extends UpdateRequest {
  /** Whether fields are taken from those who have them. */
  force: boolean;
}

export interface Applied {
  /** What the object is to be; its metadata.managedFields are still those of before. */
  object: JsonObject;
  managedFields: ManagedFieldsEntry[] | undefined;
}

/** kubectl moves objects from client-side to server-side apply (managedfields/internal/lastappliedmanager.go). */
const kubectl = 'kubectl';
const neverOwned = ['apiVersion', 'kind', 'metadata'];
const neverOwnedMetadata = [
  ...['name', 'namespace', 'creationTimestamp', 'selfLink', 'uid', 'clusterName', 'generation'],
  ...['managedFields', 'resourceVersion'],
];

/**
 * Who owns which field of the objects of one kind, and server-side apply (KEP-555), by the rules of
 * k8s.io/apimachinery/pkg/util/managedfields and structured-merge-diff for a resource with one version.
 */
export class FieldManager {
  readonly #options: FieldManagerOptions;
  readonly #stripped: FieldSet;
  readonly #unowned: FieldSet;

  constructor(options: FieldManagerOptions) {
    this.#options = options;
    const stripped = new FieldSetBuilder();
    for (const name of neverOwned) stripped.insert([fieldElement(name)]);
    for (const name of neverOwnedMetadata) stripped.insert([fieldElement('metadata'), fieldElement(name)]);
    this.#stripped = stripped.fields;
    const unowned = new FieldSetBuilder();
    for (const name of options.unowned) unowned.insert([fieldElement(name)]);
    this.#unowned = unowned.fields;
  }

  /**
   * Who owns what once `next` has taken the place of `live` by anything but apply. A client may write the managedFields in
   * `next`; broken ones count as none, and an empty one gives up all ownership. Undefined: nobody is known to own anything.
   */
  update(live: JsonObject, next: JsonObject, { manager, now }: UpdateRequest): ManagedFieldsEntry[] | undefined {
    const stored = managedFieldsOf(live);
    const managed = startingPoint(stored, managedFieldsOf(next));
    // Ownership is not tracked again before the first apply, once it was given up.
    if (managed.size === 0 && metadataOf(live).uid !== undefined) return undefined;
    // Fields of a version that is not served cannot be compared; then all stays as it was.
    if (!this.#isOurs(managed)) return encodeManaged(decodeManaged(stored) ?? new Map());
    return encodeManaged(capUpdaters(this.#updated(live, withoutManagedFields(next), managed, { manager, now })));
  }

  /**
   * The live object with a configuration applied. An absent object is one of apiVersion and kind.
   * @throws FieldConflicts when others own fields that would change; ApiError when the configuration is none of this kind.
   */
  apply(live: JsonObject, config: JsonObject, request: ApplyRequest): Applied {
    this.#checkConfig(config);
    const { manager, now } = request;
    let managed = decodeManaged(managedFieldsOf(live)) ?? new Map<ManagerKey, ManagedSet>();
    if (managed.size === 0) {
      const { apiVersion, kind } = this.#options;
      managed = this.#updated({ apiVersion, kind }, withoutManagedFields(live), managed, {
        manager: 'before-first-apply',
        now,
      });
    }
    const applied =
      manager === kubectl
        ? this.#applyForKubectl(live, config, managed, request)
        : this.#merge(live, config, managed, request);
    const object = manager === kubectl ? withLastApplied(applied.object, config) : applied.object;
    return { object, managedFields: encodeManaged(applied.managed) };
  }

  #checkConfig(config: JsonObject): void {
    const { schema, apiVersion, kind } = this.#options;
    if (config.apiVersion !== apiVersion || config.kind !== kind) {
      throw new ApiError('BadRequest', `invalid object type: ${kindText(config)}`);
    }
    if (managedFieldsOf(config) !== undefined) {
      throw new ApiError('BadRequest', 'metadata.managedFields must be nil');
    }
    const problem = typeProblem(config, schema);
    if (problem === undefined) return;
    const { namespace, name } = metadataOf(config);
    const object = `${textOf(namespace)}/${textOf(name)}; ${kindText(config)}`;
    throw new ApiError('Unknown', `failed to create typed patch object (${object}): ${problem}`);
  }

  /** What kubectl has applied on the client's side before, and nobody changed since, it may take over. */
  #applyForKubectl(live: JsonObject, config: JsonObject, managed: Managed, request: ApplyRequest): Merged {
    try {
      return this.#merge(live, config, managed, request);
    } catch (error) {
      if (!(error instanceof FieldConflicts)) throw error;
      const agreed = agreedFields(live, this.#options);
      if (agreed === undefined) throw error;
      const rest = error.without(agreed);
      if (rest !== undefined) throw rest;
      return this.#merge(live, config, managed, { ...request, force: true });
    }
  }

  #merge(live: JsonObject, config: JsonObject, managed: Managed, { manager, force, now }: ApplyRequest): Merged {
    const { schema, apiVersion } = this.#options;
    const who: Manager = { name: manager, operation: 'Apply', apiVersion };
    const key = keyOfManager(who);
    const before = this.#reconciled(managed);
    const last = before.get(key);
    const fields = withoutSubtrees(fieldsOf(config, schema), this.#unowned);
    const claimed = new Map(before).set(key, { ...last, manager: who, fields });
    const merged = mergeApplied(live, config, schema);
    const object = last === undefined ? merged : this.#pruned(merged, claimed, last.fields);
    const comparison = this.#compared(live, object);
    if (!force) refuseConflicts(claimed, comparison, key);
    const settled = settle(claimed, comparison, key);
    const isChanged = !isDeepStrictEqual(live, object);
    const own = settled.get(key);
    if (own !== undefined) {
      const kept = differenceOf(own.fields, this.#stripped);
      if (kept.size === 0) settled.delete(key);
      else settled.set(key, { ...own, fields: kept, ...(isChanged ? { time: formatTime(now) } : {}) });
    }
    return { object: object as JsonObject, managed: settled };
  }

  /** Without what was applied last time, is not this time, and belongs to nobody else (structured-merge-diff, merge/update.go). */
  #pruned(merged: unknown, claimed: Managed, last: FieldSet): unknown {
    const { schema } = this.#options;
    if (last.size === 0) return merged;
    const declared = (set: FieldSet) => withDeclaredParents(set, schema);
    const without = removeFields(merged, declared(last), schema);
    const all = declared(fieldsOf(merged, schema));
    let owned: FieldSet = noFields;
    for (const { fields } of claimed.values()) owned = unionOf(owned, fields);
    const kept = unionOf(declared(fieldsOf(without, schema)), declared(owned));
    const withOwned = removeFields(merged, differenceOf(all, kept), schema);
    const removed = differenceOf(all, declared(fieldsOf(withOwned, schema)));
    return removeFields(merged, intersectionOf(removed, declared(last)), schema);
  }

  #updated(live: JsonObject, next: JsonObject, managed: Managed, { manager, now }: UpdateRequest): Managed {
    const who: Manager = {
      name: manager === '' ? 'unknown' : manager,
      operation: 'Update',
      apiVersion: this.#options.apiVersion,
    };
    const key = keyOfManager(who);
    const comparison = this.#compared(live, next);
    const settled = settle(this.#reconciled(managed), comparison, undefined);
    const taken = differenceOf(unionOf(comparison.modified, comparison.added), this.#stripped);
    if (taken.size > 0) {
      const fields = unionOf(taken, settled.get(key)?.fields ?? noFields);
      settled.set(key, { manager: who, time: formatTime(now), fields });
    }
    return settled;
  }

  #compared(live: unknown, next: unknown): Comparison {
    const { removed, modified, added } = compareFields(live, next, this.#options.schema);
    return {
      removed: withoutSubtrees(removed, this.#unowned),
      modified: withoutSubtrees(modified, this.#unowned),
      added: withoutSubtrees(added, this.#unowned),
    };
  }

  #reconciled(managed: Managed): Map<ManagerKey, ManagedSet> {
    return new Map(
      [...managed].map(([key, set]) => [key, { ...set, fields: withWholes(set.fields, this.#options.schema) }]),
    );
  }

  #isOurs(managed: Managed): boolean {
    return [...managed.values()].every(({ manager }) => manager.apiVersion === this.#options.apiVersion);
  }
}

interface Merged {
  object: JsonObject;
  managed: Managed;
}

function refuseConflicts(managed: Managed, { modified, added }: Comparison, self: ManagerKey): void {
  const changed = unionOf(modified, added);
  const conflicts = [...managed].flatMap(([key, { manager, fields }]) => {
    const lost = intersectionOf(fields, changed);
    return key === self || lost.size === 0 ? [] : [{ key, manager, fields: lost }];
  });
  if (conflicts.length > 0) throw new FieldConflicts(conflicts);
}

/** Takes from all but one what has changed, and from all but him what is no more. */
function settle(
  managed: Managed,
  { removed, modified, added }: Comparison,
  self: ManagerKey | undefined,
): Map<ManagerKey, ManagedSet> {
  const gone = unionOf(removed, unionOf(modified, added));
  const settled = new Map<ManagerKey, ManagedSet>();
  for (const [key, set] of managed) {
    const fields = key === self ? set.fields : differenceOf(set.fields, gone);
    if (fields.size > 0) settled.set(key, { ...set, fields });
  }
  return settled;
}

/** What the client says, unless that is nothing or broken. */
function startingPoint(stored: readonly unknown[] | undefined, sent: readonly unknown[] | undefined): Managed {
  if (sent !== undefined && isReset(sent)) return new Map();
  const managed = decodeManaged(sent);
  return managed === undefined || managed.size === 0 ? (decodeManaged(stored) ?? new Map()) : managed;
}

function isReset(sent: readonly unknown[]): boolean {
  const [first, ...others] = sent;
  return others.length === 0 && (first === undefined || (isMembers(first) && Object.keys(first).length === 0));
}

function metadataOf(object: JsonObject): Members {
  return isMembers(object.metadata) ? object.metadata : {};
}

function managedFieldsOf(object: JsonObject): readonly unknown[] | undefined {
  const { managedFields } = metadataOf(object);
  return Array.isArray(managedFields) ? managedFields : undefined;
}

function withoutManagedFields(object: JsonObject): JsonObject {
  if (!isMembers(object.metadata)) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/** An object's type in the words of Go's schema.GroupVersionKind. */
function kindText({ apiVersion, kind }: JsonObject): string {
  const version = textOf(apiVersion);
  return `${version.includes('/') ? version : `/${version}`}, Kind=${textOf(kind)}`;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
