import type { Runtime } from '../agentcube/runtime.ts';
import { labels } from '../names.ts';
import { daemonEnv, daemonPort } from '../wire/daemon.ts';
import { picodKeyEnv } from '../wire/picod.ts';
import type { TrustAnchors } from '../wire/trust-anchor.ts';
import type { Container, EnvVar, PodTemplate } from './sandbox.ts';
import type { AuthMode, Endpoint } from './types.ts';
import { workspaceVolume } from './workspace.ts';

/** The autoscaler must not evict a live session; agent-sandbox would otherwise stamp its pool members "true". */
const safeToEvict = 'cluster-autoscaler.kubernetes.io/safe-to-evict';

/**
 * The podTemplate of a runtime's sandboxes: the author's, plus our label, what its program needs to
 * verify tokens, and a readiness probe where the author set none, so that a session is Ready only when a call can be
 * answered.
 */
export function sandboxPodTemplate(runtime: Runtime, anchors: TrustAnchors): PodTemplate {
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
      containers:
        first === undefined ? [] : [withWorkspace(sessionContainer(first, runtime, anchors), runtime), ...others],
    },
  };
}

/** The first container is the one that answers invocations. */
function sessionContainer(container: Container, runtime: Runtime, anchors: TrustAnchors): Container {
  const endpoint = runtime.endpoints[0];
  const withEnv = withEnvironment(container, tokenEnvironment(runtime.authMode, anchors, endpoint?.port ?? daemonPort));
  if (endpoint === undefined || withEnv.readinessProbe !== undefined) return withEnv;
  return { ...withEnv, readinessProbe: readinessProbe(runtime, endpoint) };
}

/** The workspace volume, mounted; an author's mount of that name or place would hide it. */
function withWorkspace(container: Container, { workspace, authMode }: Runtime): Container {
  if (workspace === undefined) return container;
  const { name, mountPath } = workspaceVolume;
  const others = (container.volumeMounts ?? []).filter((mount) => mount.name !== name && mount.mountPath !== mountPath);
  const mounted = { ...container, volumeMounts: [...others, { name, mountPath }] };
  return authMode === 'sojourn' ? withEnvironment(mounted, [{ name: daemonEnv.workspace, value: mountPath }]) : mounted;
}

/** An author's variable of the same name would decide whom the program trusts. */
function withEnvironment(container: Container, ours: readonly EnvVar[]): Container {
  if (ours.length === 0) return container;
  const names = new Set(ours.map(({ name }) => name));
  return { ...container, env: [...(container.env ?? []).filter(({ name }) => !names.has(name)), ...ours] };
}

function tokenEnvironment(authMode: AuthMode, anchors: TrustAnchors, port: number): EnvVar[] {
  switch (authMode) {
    case 'sojourn':
      return daemonEnvironment(anchors.rootKey, port);
    case 'picod':
      return [{ name: picodKeyEnv, value: anchors.picodKey }];
    case 'none':
      return [];
  }
}

/** The key that a sandbox made of this template was told to trust; undefined when it verifies nothing. */
export function trustAnchorOf(template: PodTemplate | undefined, authMode: AuthMode): string | undefined {
  if (authMode === 'none') return undefined;
  const name = authMode === 'sojourn' ? daemonEnv.rootKey : picodKeyEnv;
  return template?.spec?.containers?.[0]?.env?.findLast((variable) => variable.name === name)?.value;
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
