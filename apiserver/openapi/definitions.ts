import { groupVersion, kind, group as sessionGroup, version } from '../../apis/names.ts';
import { sessionSpec, sessionStatus } from '../../apis/v1alpha1/types.ts';
import meta from './meta-definitions.json' with { type: 'json' };

/** A node of an OpenAPI document. */
export type Json = { [key: string]: unknown };

const metaPrefix = 'io.k8s.apimachinery.pkg.apis.meta.v1.';

/** Names of definitions in our documents. */
export const definitionNames = {
  session: 'dev.sojourn.v1alpha1.Session',
  sessionList: 'dev.sojourn.v1alpha1.SessionList',
  deleteOptions: `${metaPrefix}DeleteOptions`,
  patch: `${metaPrefix}Patch`,
  status: `${metaPrefix}Status`,
} as const;

/** `x-kubernetes-group-version-kind` of an operation: one object, where a definition has a list. */
export const sessionGroupVersionKind = { group: sessionGroup, kind, version } as const;

/** Parameters of features that kube-apiserver has switched off. */
const notServed = new Set(['shardSelector']);
const served = (parameters: Json[]) => parameters.filter(({ name }) => !notServed.has(String(name)));

/** Query parameters by verb, in OpenAPI v2's form. */
export const queryParameters = {
  get: meta.parameters.list.filter(({ name }) => name === 'resourceVersion') as Json[],
  list: served(meta.parameters.list),
  create: served(meta.parameters.create),
  update: served(meta.parameters.update),
  patch: served(meta.parameters.patch),
  delete: served(meta.parameters.delete),
  deletecollection: served([
    ...meta.parameters.deletecollection,
    // Of no meaning there, but every custom resource has them.
    ...meta.parameters.list.filter(({ name }) => name === 'allowWatchBookmarks' || name === 'watch'),
  ]),
} as const;

const apiVersion = {
  type: 'string',
  description:
    'APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources',
};
const kindProperty = {
  type: 'string',
  description:
    'Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds',
};

/** All definitions of both documents, with references in OpenAPI v2's form. */
export function definitions(): Record<string, Json> {
  return {
    ...(meta.definitions as Record<string, Json>),
    [definitionNames.session]: {
      type: 'object',
      description:
        'Session is one use of an agent or code interpreter in a sandbox of its own. It is stored as annotations on the Sandbox of the same name.',
      required: ['spec'],
      properties: {
        apiVersion,
        kind: kindProperty,
        metadata: reference('ObjectMeta', 'Standard metadata of the object.'),
        spec: plain(sessionSpec),
        status: plain(sessionStatus),
      },
      'x-kubernetes-group-version-kind': [sessionGroupVersionKind],
    },
    [definitionNames.sessionList]: {
      type: 'object',
      description: `SessionList is a list of sessions of ${groupVersion}.`,
      required: ['items'],
      properties: {
        apiVersion,
        kind: kindProperty,
        metadata: reference('ListMeta', 'Standard metadata of the list.'),
        items: { type: 'array', items: { $ref: `#/definitions/${definitionNames.session}` } },
      },
      'x-kubernetes-group-version-kind': [{ ...sessionGroupVersionKind, kind: `${kind}List` }],
    },
  };
}

function reference(name: string, description: string): Json {
  return { description, $ref: `#/definitions/${metaPrefix}${name}` };
}

/** A TypeBox schema without what is not JSON. */
function plain(schema: object): Json {
  return JSON.parse(JSON.stringify(schema)) as Json;
}
