import {
  type Applied,
  type ApplyRequest,
  FieldManager,
  type JsonObject,
  type UpdateRequest,
} from '../machinery/managed-fields/field-manager.ts';
import type { FieldSchema } from '../machinery/managed-fields/field-schema.ts';
import type { ManagedFieldsEntry } from '../machinery/managed-fields/managers.ts';
import type { ObjectMeta } from '../machinery/meta.ts';
import { groupVersion, kind } from '../names.ts';
import { objectMetaSchema } from './object-meta-schema.ts';
import { type SessionSpec, sessionSpec, sessionStatus } from './types.ts';

const ownerSchema = (objectMetaSchema as FieldSchema).properties?.ownerReferences?.items;

/** Metadata, and how its lists are owned (k8s.io/apimachinery/pkg/apis/meta/v1/types.go, the tags of ObjectMeta). */
const metadataFields: FieldSchema = {
  ...(objectMetaSchema as FieldSchema),
  properties: {
    ...(objectMetaSchema as FieldSchema).properties,
    ownerReferences: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['uid'],
      items: {
        ...ownerSchema,
        properties: { ...ownerSchema?.properties, uid: { type: 'string', default: '' } },
        'x-kubernetes-map-type': 'atomic',
      },
    },
    finalizers: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
  },
};

const sessionFields = new FieldManager({
  schema: {
    type: 'object',
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: metadataFields,
      spec: sessionSpec as FieldSchema,
      status: sessionStatus as FieldSchema,
    },
  },
  apiVersion: groupVersion,
  kind,
  unowned: ['status'],
});

/** What of a Session clients write. */
export interface WrittenSession {
  metadata: ObjectMeta;
  spec: SessionSpec;
}

/** metadata.managedFields of a new Session whose spec has its defaults. */
export function ownersAtCreation(next: WrittenSession, request: UpdateRequest): ManagedFieldsEntry[] | undefined {
  const { uid: _uid, deletionTimestamp: _time, deletionGracePeriodSeconds: _period, ...metadata } = next.metadata;
  return sessionFields.update({ apiVersion: groupVersion, kind }, objectOf({ ...next, metadata }), request);
}

/** metadata.managedFields of a Session after a change by anything but apply; the spec has its defaults. */
export function ownersAfterUpdate(
  live: WrittenSession,
  next: WrittenSession,
  request: UpdateRequest,
): ManagedFieldsEntry[] | undefined {
  return sessionFields.update(objectOf(live), objectOf(next), request);
}

/**
 * A Session with a configuration applied; without a live one, a new Session. What of it is left out has no default yet.
 * @throws FieldConflicts, ApiError.
 */
export function applySession(live: WrittenSession | undefined, config: JsonObject, request: ApplyRequest): Applied {
  return sessionFields.apply(live === undefined ? { apiVersion: groupVersion, kind } : objectOf(live), config, request);
}

function objectOf({ metadata, spec, ...rest }: WrittenSession): JsonObject {
  return { ...rest, apiVersion: groupVersion, kind, metadata: withoutEmpty(metadata), spec };
}

/** Metadata as Go writes them: what is empty is left out. */
function withoutEmpty(metadata: ObjectMeta): JsonObject {
  return Object.fromEntries(
    Object.entries(metadata).filter(
      ([, value]) =>
        value !== undefined &&
        value !== null &&
        value !== '' &&
        !(typeof value === 'object' && Object.keys(value).length === 0),
    ),
  );
}
