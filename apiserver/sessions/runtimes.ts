import { type Runtime, runtimeResources } from '../../apis/agentcube/runtime.ts';
import type { KubeClient } from '../../apis/client/transport.ts';
import { ApiError } from '../../apis/machinery/errors.ts';
import { runtimeApi } from '../../apis/names.ts';
import type { SessionSpec } from '../../apis/v1alpha1/types.ts';
import type { RuntimeIndex } from '../pools/runtime-index.ts';

export interface RuntimeSource {
  client: KubeClient;
  runtimes: Pick<RuntimeIndex, 'get' | 'read'>;
}

/**
 * The runtime that a session refers to, as the watch of runtimes has it; one that it does not have is read live, since it may
 * have been applied a moment before. kube-apiserver looks up a Pod's RuntimeClass alike
 * (plugin/pkg/admission/runtimeclass/admission.go, prepareObjects).
 * @throws ApiError NotFound that names it, and whatever else kube-apiserver answers.
 */
export async function resolveRuntime(
  { client, runtimes }: RuntimeSource,
  namespace: string,
  { kind, name }: SessionSpec['runtimeRef'],
): Promise<Runtime> {
  const ref = { kind, namespace, name };
  const known = runtimes.get(ref) ?? (await runtimes.read(ref));
  if (known !== undefined) return known.runtime;
  // Of a namespace that is not there, that is what there is to say (plugin/namespace/lifecycle of kube-apiserver).
  await client.request({ path: `/api/v1/namespaces/${encodeURIComponent(namespace)}` });
  const collection = runtimeResources[kind];
  throw new ApiError(
    'NotFound',
    `${collection}.${runtimeApi.group} "${name}" not found in namespace "${namespace}"; apply the ${kind} before its sessions`,
    { details: { name, group: runtimeApi.group, kind: collection } },
  );
}
