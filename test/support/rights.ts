import type { KubeClient } from '../../apis/client/transport.ts';
import { type GivenRight, mayCall } from '../../hack/cluster/session-users.ts';
import { until } from './until.ts';

/**
 * Waits until kube-apiserver knows that somebody may call sessions, who was allowed to a moment ago: a refusal is remembered
 * for seconds by whoever asked it.
 */
export async function untilMayCall(client: KubeClient, right: GivenRight): Promise<void> {
  const { user, groups, verb = 'get' } = right;
  await until(`the right of ${user ?? groups?.join(', ')} to ${verb}`, () => mayCall(client, right));
}
