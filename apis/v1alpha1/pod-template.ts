import type { Runtime } from '../agentcube/runtime.ts';
import { labels } from '../names.ts';
import { daemonEnv, daemonPort } from '../wire/daemon.ts';
import type { Container, EnvVar, PodTemplate } from './sandbox.ts';
import type { Endpoint } from './types.ts';

/** The autoscaler must not evict a live session; agent-sandbox would otherwise stamp its pool members "true". */
const safeToEvict = 'cluster-autoscaler.kubernetes.io/safe-to-evict';

/**
 * The podTemplate of a runtime's sandboxes: the author's, plus our label, the daemon's environment and a readiness
 * probe where the author set none, so that a session is Ready only when a call can be answered.
 * @param rootKey root public key as {@link daemonEnv.rootKey} carries it.
 */
export function sandboxPodTemplate(runtime: Runtime, rootKey: string): PodTemplate {
  const { metadata, spec } = runtime.podTemplate;
  const [first, ...others] = spec.containers ?? [];
  return {
    metadata: {
      labels: { ...metadata?.labels, [labels.runtime]: runtime.name },
      annotations: { ...metadata?.annotations, [safeToEvict]: 'false' },
    },
    spec: {
      // Untrusted code must not find a credential of the namespace unless the author asked for it.
      automountServiceAccountToken: false,
      ...spec,
      containers: first === undefined ? [] : [sessionContainer(first, runtime, rootKey), ...others],
    },
  };
}

/** The first container is the one that answers invocations. */
function sessionContainer(container: Container, runtime: Runtime, rootKey: string): Container {
  const endpoint = runtime.endpoints[0];
  const withEnv =
    runtime.authMode === 'sojourn'
      ? { ...container, env: [...(container.env ?? []), ...daemonEnvironment(rootKey, endpoint?.port ?? daemonPort)] }
      : container;
  if (endpoint === undefined || withEnv.readinessProbe !== undefined) return withEnv;
  return { ...withEnv, readinessProbe: readinessProbe(runtime, endpoint) };
}

function readinessProbe(runtime: Runtime, { port, protocol }: Endpoint): object {
  const check =
    runtime.authMode === 'none' ? { tcpSocket: { port } } : { httpGet: { path: '/health', port, scheme: protocol } };
  return { ...check, periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 3 };
}

function daemonEnvironment(rootKey: string, port: number): EnvVar[] {
  const field = (name: string, fieldPath: string): EnvVar => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  return [
    { name: daemonEnv.rootKey, value: rootKey },
    field(daemonEnv.namespace, 'metadata.namespace'),
    field(daemonEnv.sandbox, 'metadata.name'),
    field(daemonEnv.podUid, 'metadata.uid'),
    field(daemonEnv.listenAddress, 'status.podIP'),
    { name: daemonEnv.listenPort, value: String(port) },
  ];
}
