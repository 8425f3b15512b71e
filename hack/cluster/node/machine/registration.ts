import { arch, release } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { KubeClient } from '../../../../apis/client/transport.ts';
import { hasReason } from '../../../../apis/machinery/errors.ts';
import type { KubeObject } from '../../../../apis/machinery/meta.ts';
import type { ResourceList } from '../api/pod.ts';
import { timestamp } from '../time.ts';

/** How long kube-apiserver may take to let a node in whose permissions were granted a moment ago. */
const patienceMs = 15_000;
const retryMs = 250;

/** What is read here of core/v1 Nodes. */
interface Node extends KubeObject {
  spec?: { taints?: { key: string }[] };
}

export interface RegistrationOptions {
  client: KubeClient;
  name: string;
  /** Address of the node itself. */
  hostIP: string;
  /** Port of {@link import('../server/kubelet-server.ts').serveKubelet}. */
  port: number;
  capacity: ResourceList;
}

/**
 * Creates the Node object, or takes it over from an earlier run, and reports it ready. Returns its labels.
 * @throws ApiError when kube-apiserver refuses for longer than it takes permissions to spread.
 */
export async function registerNode(options: RegistrationOptions): Promise<Record<string, string>> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    try {
      return await register(options);
    } catch (error) {
      if (!hasReason(error, 'Forbidden', 'ServiceUnavailable', 'Conflict') || Date.now() > deadline) throw error;
      await delay(retryMs);
    }
  }
}

async function register(options: RegistrationOptions): Promise<Record<string, string>> {
  const { client, name } = options;
  const { gitVersion } = await client.request<{ gitVersion: string }>({ path: '/version' });
  try {
    const body = { apiVersion: 'v1', kind: 'Node', metadata: { name } };
    await client.request({ method: 'POST', path: '/api/v1/nodes', body });
  } catch (error) {
    if (!hasReason(error, 'AlreadyExists')) throw error;
  }
  const patch = (subresource: string, body: unknown) =>
    client.request<Node>({
      method: 'PATCH',
      path: `/api/v1/nodes/${encodeURIComponent(name)}${subresource}`,
      contentType: 'application/strategic-merge-patch+json',
      body,
    });
  const { spec } = await patch('', { metadata: { labels: nodeLabels(name) } });
  // Admission taints a new node as not ready, and no controller runs here that would take that away again.
  const taints = spec?.taints?.filter(({ key }) => key !== 'node.kubernetes.io/not-ready') ?? [];
  if (taints.length !== (spec?.taints ?? []).length) await patch('', { spec: { taints } });
  const { metadata } = await patch('/status', { status: nodeStatus({ ...options, version: gitVersion }) });
  return metadata.labels ?? {};
}

/** Go's name of this machine's architecture, as kubernetes.io/arch has it. */
function architecture(): string {
  return arch() === 'x64' ? 'amd64' : arch();
}

function nodeLabels(name: string): Record<string, string> {
  return { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': architecture() };
}

function nodeStatus(options: RegistrationOptions & { version: string }): Record<string, unknown> {
  const now = timestamp(Date.now());
  const condition = (type: string, status: string, reason: string, message: string) => ({
    type,
    status,
    reason,
    message,
    lastHeartbeatTime: now,
    lastTransitionTime: now,
  });
  const { capacity } = options;
  return {
    capacity,
    allocatable: capacity,
    addresses: [
      { type: 'InternalIP', address: options.hostIP },
      { type: 'Hostname', address: options.name },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: options.port } },
    conditions: [
      condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'),
      condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
      condition('PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
      condition('Ready', 'True', 'KubeletReady', 'the local node runs Pods as processes of this machine'),
    ],
    nodeInfo: {
      machineID: '',
      systemUUID: '',
      bootID: '',
      architecture: architecture(),
      operatingSystem: 'linux',
      kernelVersion: release(),
      osImage: 'local processes',
      containerRuntimeVersion: `local://${process.versions.node}`,
      kubeletVersion: options.version,
      kubeProxyVersion: '',
    },
  };
}
