import { type AgentRuntime, type CodeInterpreter, runtimeResources } from '../../apis/agentcube/runtime.ts';
import type { KubeClient } from '../../apis/client/transport.ts';
import type { KubeObject, ObjectMeta } from '../../apis/machinery/meta.ts';
import { runtimeApi } from '../../apis/names.ts';
import type { RuntimeKind } from '../../apis/v1alpha1/types.ts';

interface NewCodeInterpreter {
  name: string;
  kind?: 'CodeInterpreter';
  /** What it has besides its name. */
  metadata?: ObjectMeta;
  spec: CodeInterpreter['spec'];
}

/** An AgentRuntime to be created. */
export interface NewAgentRuntime {
  name: string;
  kind: 'AgentRuntime';
  metadata?: ObjectMeta;
  spec: AgentRuntime['spec'];
}

/** A runtime to be created: a CodeInterpreter when it does not say its kind. */
export type NewRuntime = NewCodeInterpreter | NewAgentRuntime;

/** Path of a namespace's runtimes of one kind. */
export function runtimesPath(namespace: string, kind: RuntimeKind = 'CodeInterpreter'): string {
  return `${runtimeApi.path}/namespaces/${namespace}/${runtimeResources[kind]}`;
}

/**
 * Creates a runtime, as its author would with kubectl.
 * @throws ApiError with which kube-apiserver refuses it.
 */
export async function createRuntime(
  client: KubeClient,
  namespace: string,
  { name, kind = 'CodeInterpreter', metadata, spec }: NewRuntime,
): Promise<KubeObject> {
  return await client.request<KubeObject>({
    method: 'POST',
    path: runtimesPath(namespace, kind),
    body: { apiVersion: runtimeApi.groupVersion, kind, metadata: { ...metadata, name }, spec },
  });
}
