import type { KubeClient } from '../../apis/client/transport.ts';
import { group, resource, version } from '../../apis/names.ts';

export interface GivenRight {
  /** Undefined for whoever is in the groups. */
  user?: string;
  groups?: readonly string[];
  namespace: string;
  /** What was allowed on sessions/proxy; `get` when absent. */
  verb?: string;
}

/**
 * Whether kube-apiserver lets somebody call the sessions of a namespace. Its authorizer reads roles and their bindings from
 * a watch, so that one that was created a moment ago may not count yet.
 * @param client the admin's.
 */
export async function mayCall(
  client: KubeClient,
  { user, groups, namespace, verb = 'get' }: GivenRight,
): Promise<boolean> {
  const resourceAttributes = { namespace, verb, group, version, resource, subresource: 'proxy' };
  const { status } = await client.request<{ status: { allowed: boolean } }>({
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: { user, groups, resourceAttributes },
    },
  });
  return status.allowed;
}

/** The user that a ServiceAccount's tokens are of. */
export function accountUser(namespace: string, name: string): string {
  return `system:serviceaccount:${namespace}:${name}`;
}
