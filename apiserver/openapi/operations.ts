import { group, version } from '../../apis/names.ts';
import { servedPatchTypes } from '../sessions/change.ts';
import { definitionNames, type Json, queryParameters } from './definitions.ts';

/** One operation, before it is written in the terms of OpenAPI v2 or v3. */
export interface Operation {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  id: string;
  description: string;
  action: string;
  parameters: Json[];
  /** Definition of the body, if it takes one. */
  body?: string;
  /** Media types of the body, where objects' own are none. */
  consumes?: readonly string[];
  /** Definition of a successful answer; absent for what the sandbox answers. */
  answer?: string;
  codes: readonly (200 | 201 | 202)[];
}

export interface PathItem {
  path: string;
  /** Parameters in the path. */
  parameters: ('namespace' | 'name' | 'path')[];
  operations: Operation[];
}

const root = `/apis/${group}/${version}`;
/** Group and version in identifiers, as kube-openapi writes those of custom resources. */
const qualifier = 'SojournDevV1alpha1';
const { session, sessionList, deleteOptions, patch, status } = definitionNames;

/** Every path that kubectl, client generators and `kubectl explain` find in the documents. */
export function pathItems(): PathItem[] {
  return [
    {
      path: `${root}/sessions`,
      parameters: [],
      operations: [listOperation(`list${qualifier}SessionForAllNamespaces`)],
    },
    {
      path: `${root}/namespaces/{namespace}/sessions`,
      parameters: ['namespace'],
      operations: [
        listOperation(`list${qualifier}NamespacedSession`),
        {
          method: 'post',
          id: `create${qualifier}NamespacedSession`,
          description: 'create a Session',
          action: 'post',
          parameters: queryParameters.create,
          body: session,
          answer: session,
          codes: [200, 201, 202],
        },
        {
          method: 'delete',
          id: `delete${qualifier}CollectionNamespacedSession`,
          description: 'delete collection of Session',
          action: 'deletecollection',
          parameters: queryParameters.deletecollection,
          body: deleteOptions,
          answer: sessionList,
          codes: [200],
        },
      ],
    },
    {
      path: `${root}/namespaces/{namespace}/sessions/{name}`,
      parameters: ['namespace', 'name'],
      operations: [
        {
          method: 'get',
          id: `read${qualifier}NamespacedSession`,
          description: 'read the specified Session',
          action: 'get',
          parameters: queryParameters.get,
          answer: session,
          codes: [200],
        },
        {
          method: 'put',
          id: `replace${qualifier}NamespacedSession`,
          description: 'replace the specified Session',
          action: 'put',
          parameters: queryParameters.update,
          body: session,
          answer: session,
          codes: [200, 201],
        },
        {
          method: 'patch',
          id: `patch${qualifier}NamespacedSession`,
          description: 'partially update the specified Session',
          action: 'patch',
          parameters: queryParameters.patch,
          body: patch,
          consumes: servedPatchTypes,
          answer: session,
          codes: [200, 201],
        },
        {
          method: 'delete',
          id: `delete${qualifier}NamespacedSession`,
          description: 'delete a Session',
          action: 'delete',
          parameters: queryParameters.delete,
          body: deleteOptions,
          answer: status,
          codes: [200, 202],
        },
      ],
    },
    {
      path: `${root}/namespaces/{namespace}/sessions/{name}/proxy/{path}`,
      parameters: ['namespace', 'name', 'path'],
      operations: (['get', 'post', 'put', 'patch', 'delete'] as const).map(proxyOperation),
    },
  ];
}

function listOperation(id: string): Operation {
  return {
    method: 'get',
    id,
    description: 'list or watch objects of kind Session',
    action: 'list',
    parameters: queryParameters.list,
    answer: sessionList,
    codes: [200],
  };
}

function proxyOperation(method: Operation['method']): Operation {
  const name = method.charAt(0).toUpperCase() + method.slice(1);
  return {
    method,
    id: `connect${name}${qualifier}NamespacedSessionProxyWithPath`,
    description: `connect ${method.toUpperCase()} requests to the sandbox of a Session: an invocation`,
    action: 'connect',
    parameters: [],
    codes: [200],
  };
}
