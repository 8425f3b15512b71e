import type { ClusterConfig } from '../../../apis/client/kubeconfig.ts';
import { KubeClient } from '../../../apis/client/transport.ts';
import { ApiError } from '../../../apis/machinery/errors.ts';
import { Lifecycle } from '../../../apis/runtime/lifecycle.ts';
import type { Log } from '../../../apis/runtime/log.ts';
import { EventRecorder } from './api/events.ts';
import { WriteQueue } from './api/write-queue.ts';
import { type BackoffTimes, kubeletBackoff } from './containers/backoff.ts';
import { ProcessSearch } from './containers/process-search.ts';
import type { ImageMap } from './images.ts';
import { AddressPool } from './machine/addresses.ts';
import { machineCapacity } from './machine/capacity.ts';
import { NodeFolders } from './machine/folders.ts';
import { registerNode } from './machine/registration.ts';
import { MemoryLimits } from './memory/memory-limits.ts';
import type { PodHost } from './pods/pod-life.ts';
import { PodTable } from './pods/pod-table.ts';
import { Scheduler } from './scheduling/scheduler.ts';
import { type ServingCertificates, serveKubelet } from './server/kubelet-server.ts';
import { ClaimTable } from './volumes/claims.ts';
import { Provisioner } from './volumes/provisioner.ts';

const defaultName = 'sojourn-local';
const hostIP = '127.0.0.1';
/** Status writes under way at once. */
const writeWidth = 16;
/** Between SIGTERM and SIGKILL when the node stops. */
const defaultStopGraceMs = 3_000;
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface NodeOptions {
  /** The node's own identity, with the permissions of manifests/node-rbac.yaml. */
  cluster: ClusterConfig;
  /** Name of the Node object; `sojourn-local` when absent. */
  name?: string;
  /** Folder of the Pods' files and logs; what is in it from an earlier run is taken over. */
  dir: string;
  serving: ServingCertificates;
  images: ImageMap;
  /** PATH of the containers; that of this process when absent. */
  path?: string;
  /** Delays between attempts that fail; kubelet's when absent. */
  backoff?: BackoffTimes;
  log: Log;
}

export interface LocalNode {
  name: string;
  /** Where kube-apiserver reaches the node. */
  address: string;
  port: number;
  /** Ends every process that the node started: SIGTERM, then SIGKILL after the grace (default 3 s). */
  stop(options?: { graceMs?: number }): Promise<void>;
}

/**
 * Starts a node whose containers are processes of this machine, without any isolation. Resolves when kube-apiserver
 * has it as ready and every Pod that exists is known.
 * @throws Error on another system than Linux; ApiError when kube-apiserver does not let the node in.
 */
export async function startNode(options: NodeOptions): Promise<LocalNode> {
  if (process.platform !== 'linux') {
    throw new Error('the local node needs Linux (Pod addresses in 127.0.0.0/8, and /proc): use a virtual machine');
  }
  const lifecycle = new Lifecycle(options.log);
  try {
    return await startParts(options, lifecycle);
  } catch (error) {
    await lifecycle.stop();
    throw error;
  }
}

async function startParts(options: NodeOptions, lifecycle: Lifecycle): Promise<LocalNode> {
  const { log, images, name = defaultName } = options;
  const folders = new NodeFolders(options.dir);
  const search = new ProcessSearch();
  const earlier = await folders.podUids();
  const orphans = await search.killAll(earlier.map((uid) => ({ uid })));
  if (orphans > 0) log.warn('processes that an earlier run of the node left behind were killed', { orphans });

  const client = new KubeClient(options.cluster);
  lifecycle.started({ name: 'client', stop: () => client.close() });
  const events = new EventRecorder({ client, nodeName: name, log });
  lifecycle.started({ name: 'events', stop: () => events.stop() });
  const writes = new WriteQueue({ width: writeWidth, log });
  lifecycle.started({ name: 'status writes', stop: () => writes.stop() });
  const path = options.path ?? process.env.PATH ?? defaultPath;
  const capacity = await machineCapacity(options.dir);
  const settings = { client, folders, path, services: servicesOf(client), allocatable: capacity };
  const claims = new ClaimTable({ client, log });
  lifecycle.started({ name: 'claims', stop: () => claims.stop() });
  const host: PodHost = {
    ...{ client, hostIP, events, writes, search, log, images, settings, claims },
    addresses: new AddressPool(options.dir),
    limits: await MemoryLimits.find(log),
    backoff: options.backoff ?? kubeletBackoff,
  };
  let pods: PodTable | undefined;
  const server = await serveKubelet({
    host: hostIP,
    port: 0,
    certificates: options.serving,
    findLog: (request) => {
      if (pods === undefined) throw new ApiError('ServiceUnavailable', 'the node is still starting; try again');
      return pods.findLog(request);
    },
    log,
  });
  lifecycle.started({ name: 'kubelet server', stop: server.stop });
  const labels = await registerNode({ client, name, hostIP, port: server.port, capacity });
  await claims.start();
  const provisioner = new Provisioner({ client, claims, nodeName: name, dir: folders.volumes, log });
  lifecycle.started({ name: 'provisioner', stop: () => provisioner.stop() });
  await provisioner.start();

  const scheduler = new Scheduler({
    ...{ client, events, images, claims, log },
    node: { name, labels, allocatable: capacity },
  });
  lifecycle.started({ name: 'scheduler', stop: () => scheduler.stop() });
  pods = new PodTable({ host, nodeName: name, scheduler });
  let graceMs = defaultStopGraceMs;
  lifecycle.started({ name: 'pods', stop: () => pods.stop(graceMs) });
  await pods.start();
  for (const uid of earlier) if (!pods.has(uid)) await folders.removePod(uid);

  const stop: LocalNode['stop'] = async (stopOptions = {}) => {
    graceMs = stopOptions.graceMs ?? defaultStopGraceMs;
    await lifecycle.stop();
  };
  return { name, address: hostIP, port: server.port, stop };
}

/** What in-cluster configuration reads (client-go/rest, InClusterConfig). */
function servicesOf(client: KubeClient): Record<string, string> {
  const { hostname, port } = new URL(client.server);
  return {
    KUBERNETES_SERVICE_HOST: hostname.replace(/^\[|\]$/g, ''),
    KUBERNETES_SERVICE_PORT: port === '' ? '443' : port,
  };
}
