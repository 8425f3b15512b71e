import {
  type AgentRuntime,
  type CodeInterpreter,
  type Runtime,
  readAgentRuntime,
  readCodeInterpreter,
  runtimeResources,
} from '../../apis/agentcube/runtime.ts';
import type { KubeClient } from '../../apis/client/transport.ts';
import { ApiError, hasReason } from '../../apis/machinery/errors.ts';
import { runtimeApi } from '../../apis/names.ts';
import type { SessionSpec } from '../../apis/v1alpha1/types.ts';
import { translateUpstreamError } from './upstream-errors.ts';

/**
 * Reads the runtime a session refers to, live: a cache would deny one that was applied a moment before.
 * @throws ApiError NotFound that names it.
 */
export async function resolveRuntime(
  client: KubeClient,
  namespace: string,
  ref: SessionSpec['runtimeRef'],
): Promise<Runtime> {
  const collection = runtimeResources[ref.kind];
  const path = `${runtimeApi.path}/namespaces/${encodeURIComponent(namespace)}/${collection}/${encodeURIComponent(ref.name)}`;
  try {
    const object = await client.request({ path });
    return ref.kind === 'AgentRuntime'
      ? readAgentRuntime(object as AgentRuntime)
      : readCodeInterpreter(object as CodeInterpreter);
  } catch (error) {
    if (!hasReason(error, 'NotFound')) throw translateUpstreamError(error);
    // Of a namespace that is not there, that is what there is to say (plugin/namespace/lifecycle of kube-apiserver).
    await client.request({ path: `/api/v1/namespaces/${encodeURIComponent(namespace)}` });
    throw new ApiError(
      'NotFound',
      `${collection}.${runtimeApi.group} "${ref.name}" not found in namespace "${namespace}"; apply the ${ref.kind} before its sessions`,
      { cause: error, details: { name: ref.name, group: runtimeApi.group, kind: collection } },
    );
  }
}
