import type { GoType } from '../machinery/go-decoding.ts';

const text: GoType = { kind: 'string' };
const uid: GoType = { kind: 'string', name: 'types.UID' };
const texts: GoType = { kind: 'map', name: 'map[string]string', of: text };
const time: GoType = { kind: 'time' };
const integer: GoType = { kind: 'int64' };
const flag: GoType = { kind: 'bool' };

/** Metadata of every object (k8s.io/apimachinery/pkg/apis/meta/v1/types.go, ObjectMeta). */
export const objectMetaType: GoType = {
  kind: 'struct',
  name: 'v1.ObjectMeta',
  fields: {
    name: text,
    generateName: text,
    namespace: text,
    selfLink: text,
    uid,
    resourceVersion: text,
    generation: integer,
    creationTimestamp: time,
    deletionTimestamp: time,
    deletionGracePeriodSeconds: integer,
    labels: texts,
    annotations: texts,
    ownerReferences: {
      kind: 'slice',
      name: '[]v1.OwnerReference',
      of: {
        kind: 'struct',
        name: 'v1.OwnerReference',
        fields: { apiVersion: text, kind: text, name: text, uid, controller: flag, blockOwnerDeletion: flag },
      },
    },
    finalizers: { kind: 'slice', name: '[]string', of: text },
    managedFields: {
      kind: 'slice',
      name: '[]v1.ManagedFieldsEntry',
      of: {
        kind: 'struct',
        name: 'v1.ManagedFieldsEntry',
        fields: {
          manager: text,
          operation: { kind: 'string', name: 'v1.ManagedFieldsOperationType' },
          apiVersion: text,
          time,
          fieldsType: text,
          fieldsV1: { kind: 'raw' },
          subresource: text,
        },
      },
    },
  },
};
