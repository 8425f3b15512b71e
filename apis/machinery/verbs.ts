/** RBAC's verb for each method on a named object (k8s.io/apiserver/pkg/endpoints/request/requestinfo.go). */
const objectVerbs = {
  GET: 'get',
  HEAD: 'get',
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
} as const;

export type ObjectVerb = (typeof objectVerbs)[keyof typeof objectVerbs];

/** Methods that have a verb, for messages. */
export const objectMethods = Object.keys(objectVerbs);

/** The verb of a method on a named object; undefined for a method that Kubernetes does not know. */
export function objectVerbOf(method: string): ObjectVerb | undefined {
  return Object.hasOwn(objectVerbs, method) ? objectVerbs[method as keyof typeof objectVerbs] : undefined;
}
