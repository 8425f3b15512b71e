import type { KubeClient } from '../../apis/client/transport.ts';
import { group, resource, version } from '../../apis/names.ts';
import { until } from './until.ts';

export interface GivenRight {
  /** Undefined for whoever is in the groups. */
  user?: string;
  groups?: readonly string[];
  namespace: string;
  /** What was allowed on sessions/proxy; `get` when absent. */
  verb?: string;
}

/**
 * Waits until kube-apiserver knows that somebody may call sessions, who was allowed to a moment ago: its authorizer reads
 * roles and their bindings from a watch, and a refusal is remembered for seconds by whoever asked it.
 */
export async function untilMayCall(
  client: KubeClient,
  { user, groups, namespace, verb = 'get' }: GivenRight,
): Promise<void> {
  const resourceAttributes = { namespace, verb, group, version, resource, subresource: 'proxy' };
  const body = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    spec: { user, groups, resourceAttributes },
  };
  await until(`the right of ${user ?? groups?.join(', ')} to ${verb}`, async () => {
    const review = await client.request<{ status: { allowed: boolean } }>({
      method: 'POST',
      path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
      body,
    });
    return review.status.allowed;
  });
}

/** The user that a ServiceAccount's tokens are of. */
export function accountUser(namespace: string, name: string): string {
  return `system:serviceaccount:${namespace}:${name}`;
}
