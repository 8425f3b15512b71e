import type { KubeObject } from '../machinery/meta.ts';
import { annotations } from '../names.ts';
import type { EnvVar, PodSpec, PodTemplate } from '../v1alpha1/sandbox.ts';
import type { AuthMode, Endpoint, RuntimeKind } from '../v1alpha1/types.ts';
import { daemonPort } from '../wire/daemon.ts';

/** AgentCube's two runtime kinds (runtime.agentcube.volcano.sh/v1alpha1), whose YAML works here unchanged. */

interface TargetPort {
  pathPrefix?: string;
  name?: string;
  port: number;
  protocol?: 'HTTP' | 'HTTPS';
}

export interface AgentRuntime extends KubeObject {
  spec: {
    targetPort: TargetPort[];
    podTemplate: { labels?: Record<string, string>; annotations?: Record<string, string>; spec: PodSpec };
    sessionTimeout?: string;
    maxSessionDuration?: string;
    authMode?: AuthMode;
  };
}

export interface CodeInterpreter extends KubeObject {
  spec: {
    ports?: TargetPort[];
    template: {
      labels?: Record<string, string>;
      annotations?: Record<string, string>;
      runtimeClassName?: string;
      image?: string;
      imagePullPolicy?: string;
      imagePullSecrets?: { name: string }[];
      environment?: EnvVar[];
      command?: string[];
      args?: string[];
      resources?: Record<string, unknown>;
    };
    sessionTimeout?: string;
    maxSessionDuration?: string;
    warmPoolSize?: number;
    authMode?: AuthMode;
  };
}

/** What a session needs to know of its runtime, whichever kind it is. */
export interface Runtime {
  kind: RuntimeKind;
  name: string;
  namespace: string;
  uid: string;
  generation: number;
  /** Go durations. */
  limits: { idleTimeout: string; maxDuration: string };
  endpoints: Endpoint[];
  authMode: AuthMode;
  /** How many sandboxes wait ready for new sessions; none when absent. */
  warmPoolSize?: number;
  /** Size of the volume that each sandbox gets, as the annotation has it; no volume when absent. */
  workspace?: string;
  /** The Pod as the runtime's author wrote it, before anything of ours is added. */
  podTemplate: PodTemplate;
}

/** Reads a runtime of either kind. */
export function readRuntime(kind: RuntimeKind, object: KubeObject): Runtime {
  return kind === 'AgentRuntime'
    ? readAgentRuntime(object as AgentRuntime)
    : readCodeInterpreter(object as CodeInterpreter);
}

/** Path of a runtime kind's collection below the group's path. */
export const runtimeResources: Record<RuntimeKind, string> = {
  AgentRuntime: 'agentruntimes',
  CodeInterpreter: 'codeinterpreters',
};

const defaultLimits = { sessionTimeout: '15m', maxSessionDuration: '8h' } as const;

/** Reads an AgentRuntime. Its program speaks for itself, so tokens are off unless it says otherwise. */
function readAgentRuntime(object: AgentRuntime): Runtime {
  const { spec } = object;
  const { labels } = spec.podTemplate;
  return {
    ...common(object, 'AgentRuntime', spec),
    endpoints: endpointsOf(spec.targetPort),
    authMode: spec.authMode ?? 'none',
    podTemplate: {
      metadata: metadataOf(labels, spec.podTemplate.annotations),
      spec: structuredClone(spec.podTemplate.spec),
    },
  };
}

/** Reads a CodeInterpreter: its template becomes a Pod of one container, named as AgentCube names it. */
function readCodeInterpreter(object: CodeInterpreter): Runtime {
  const { spec } = object;
  const { template } = spec;
  const endpoints = endpointsOf(spec.ports);
  const podSpec: PodSpec = {
    ...(template.runtimeClassName === undefined ? {} : { runtimeClassName: template.runtimeClassName }),
    ...(template.imagePullSecrets === undefined ? {} : { imagePullSecrets: template.imagePullSecrets }),
    containers: [
      {
        name: 'code-interpreter',
        ...(template.image === undefined ? {} : { image: template.image }),
        ...(template.imagePullPolicy === undefined ? {} : { imagePullPolicy: template.imagePullPolicy }),
        ...(template.command === undefined ? {} : { command: template.command }),
        ...(template.args === undefined ? {} : { args: template.args }),
        ...(template.environment === undefined ? {} : { env: structuredClone(template.environment) }),
        ...(template.resources === undefined ? {} : { resources: template.resources }),
        ports: endpoints.map(({ port }) => ({ containerPort: port, protocol: 'TCP' })),
      },
    ],
  };
  return {
    ...common(object, 'CodeInterpreter', spec),
    ...(spec.warmPoolSize === undefined ? {} : { warmPoolSize: spec.warmPoolSize }),
    endpoints,
    authMode: spec.authMode ?? 'picod',
    podTemplate: { metadata: metadataOf(template.labels, template.annotations), spec: podSpec },
  };
}

function common(
  object: KubeObject,
  kind: RuntimeKind,
  spec: { sessionTimeout?: string; maxSessionDuration?: string },
): Pick<Runtime, 'kind' | 'name' | 'namespace' | 'uid' | 'generation' | 'limits' | 'workspace'> {
  const { name = '', namespace = '', uid = '', generation = 1 } = object.metadata;
  const workspace = object.metadata.annotations?.[annotations.workspace];
  return {
    ...(workspace === undefined ? {} : { workspace }),
    kind,
    name,
    namespace,
    uid,
    generation,
    limits: {
      idleTimeout: spec.sessionTimeout ?? defaultLimits.sessionTimeout,
      maxDuration: spec.maxSessionDuration ?? defaultLimits.maxSessionDuration,
    },
  };
}

function endpointsOf(ports: readonly TargetPort[] | undefined): Endpoint[] {
  const listed = ports === undefined || ports.length === 0 ? [{ port: daemonPort }] : ports;
  return listed.map(({ pathPrefix, port, protocol }: TargetPort) => ({
    pathPrefix: pathPrefix ?? '/',
    port,
    protocol: protocol ?? 'HTTP',
  }));
}

function metadataOf(
  labels: Record<string, string> | undefined,
  ofPod: Record<string, string> | undefined,
): { labels: Record<string, string>; annotations: Record<string, string> } {
  return { labels: { ...labels }, annotations: { ...ofPod } };
}
