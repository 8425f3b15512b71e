import type { KubeClient } from '../../../../apis/client/transport.ts';
import { ApiError } from '../../../../apis/machinery/errors.ts';
import type { Container, Pod } from '../api/pod.ts';
import type { LocalImage } from '../images.ts';
import type { ContainerFolders, NodeFolders } from '../machine/folders.ts';
import { declaredEnvironment, type Environment, lookup } from './environment.ts';
import { expand } from './expansion.ts';
import type { PodAddresses } from './field-reference.ts';
import { markersOf } from './process-search.ts';

/** What every container of this node starts from. */
export interface ProcessSettings {
  client: KubeClient;
  folders: NodeFolders;
  /** PATH of every process: the only variable taken from the machine. */
  path: string;
  /** Where processes find kube-apiserver: KUBERNETES_SERVICE_HOST and _PORT. */
  services: Environment;
}

/** Everything a process is started with; its environment is complete, nothing is inherited. */
export interface ProcessPlan {
  file: string;
  args: string[];
  cwd: string;
  env: Environment;
}

export interface ProcessPlanInput {
  pod: Pod;
  uid: string;
  container: Container;
  image: Extract<LocalImage, { kind: 'process' }>;
  addresses: PodAddresses;
  settings: ProcessSettings;
  signal: AbortSignal;
}

/**
 * Works out command line, folders and environment of a container.
 * @throws ApiError whose message the container's state shows, when something it names is missing.
 */
export async function planProcess(input: ProcessPlanInput): Promise<ProcessPlan> {
  const { pod, uid, container, image, addresses, settings, signal } = input;
  if (pod.spec.initContainers?.includes(container) && container.restartPolicy === 'Always') {
    throw new ApiError('Invalid', 'restartable init containers (sidecars) are not supported by the local node');
  }
  const declared = await declaredEnvironment({
    pod,
    container,
    addresses,
    services: settings.services,
    client: settings.client,
    signal,
  });
  const [file, ...args] = commandLine(container, image.command, declared);
  if (file === undefined) {
    throw new ApiError('Invalid', `no command specified: image ${container.image} has none of its own, set "command"`);
  }
  const folders = await settings.folders.prepare(uid, container.name, container.workingDir);
  const env: Environment = {
    ...machineEnvironment(pod, folders, settings.path),
    ...(image.workspaceVariable === undefined ? {} : { [image.workspaceVariable]: folders.work }),
    ...image.env,
    ...declared,
    ...markersOf({ uid, container: container.name }),
  };
  return { file, args, cwd: folders.work, env };
}

/** `command` replaces the image's ENTRYPOINT, `args` follow either (k8s.io/api/core/v1, Container). */
function commandLine(container: Container, entrypoint: readonly string[], variables: Environment): string[] {
  const expanded = (words: readonly string[]) => words.map((word) => expand(word, (name) => lookup(variables, name)));
  const command = container.command ?? [];
  return [...(command.length === 0 ? entrypoint : expanded(command)), ...expanded(container.args ?? [])];
}

function machineEnvironment(pod: Pod, folders: ContainerFolders, path: string): Environment {
  return {
    PATH: path,
    LANG: 'C.UTF-8',
    HOME: folders.home,
    TMPDIR: folders.temporary,
    HOSTNAME: pod.spec.hostname ?? pod.metadata.name ?? '',
  };
}
