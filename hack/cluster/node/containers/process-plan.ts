import { mkdir } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { KubeClient } from '../../../../apis/client/transport.ts';
import { ApiError } from '../../../../apis/machinery/errors.ts';
import type { Container, Pod, ResourceList } from '../api/pod.ts';
import type { LocalImage } from '../images.ts';
import type { ContainerFolders, NodeFolders } from '../machine/folders.ts';
import { type MappedPath, PathMapping } from '../volumes/path-mapping.ts';
import type { VolumeFolders } from '../volumes/pod-volumes.ts';
import { declaredEnvironment, type Environment, lookup } from './environment.ts';
import { expand } from './expansion.ts';
import type { PodAddresses } from './field-reference.ts';
import { markersOf } from './process-search.ts';

/** kube-apiserver's default. */
const defaultTerminationMessagePath = '/dev/termination-log';

/** What every container of this node starts from. */
export interface ProcessSettings {
  client: KubeClient;
  folders: NodeFolders;
  /** PATH of every process: the only variable taken from the machine. */
  path: string;
  /** Where processes find kube-apiserver: KUBERNETES_SERVICE_HOST and _PORT. */
  services: Environment;
  /** What the node has to give. */
  allocatable: ResourceList;
}

/** Everything a process is started with; its environment is complete, nothing is inherited. */
export interface ProcessPlan {
  file: string;
  args: string[];
  cwd: string;
  env: Environment;
  /** Where the container's own paths are: for what is run in it later. */
  paths: PathMapping;
  terminationLog: string;
}

export interface ProcessPlanInput {
  pod: Pod;
  uid: string;
  container: Container;
  image: Extract<LocalImage, { kind: 'process' }>;
  addresses: PodAddresses;
  volumes: VolumeFolders;
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
  const { client, services, allocatable } = settings;
  const declared = await declaredEnvironment({ pod, container, addresses, services, allocatable, client, signal });
  const [file, ...args] = commandLine(container, image.command, declared);
  if (file === undefined) {
    throw new ApiError('Invalid', `no command specified: image ${container.image} has none of its own, set "command"`);
  }
  const folders = await settings.folders.prepare(uid, container.name);
  const paths = new PathMapping([
    ...(image.workingDir === undefined ? [] : [{ path: image.workingDir, place: folders.workspace }]),
    { path: container.terminationMessagePath ?? defaultTerminationMessagePath, place: folders.terminationLog },
    ...(await mountsOf(container, input.volumes, declared)),
  ]);
  const cwd = placeOf(container.workingDir ?? image.workingDir, folders.workspace, paths);
  await mkdir(cwd, { recursive: true });
  const env: Environment = {
    ...machineEnvironment(pod, folders, settings.path),
    ...(image.workspaceVariable === undefined ? {} : { [image.workspaceVariable]: cwd }),
    ...translated({ ...image.env, ...declared }, paths),
    ...markersOf({ uid, container: container.name }),
  };
  const [program = file, ...words] = [file, ...args].map((word) => paths.translate(word));
  return { file: program, args: words, cwd, env, paths, terminationLog: folders.terminationLog };
}

function translated(variables: Environment, paths: PathMapping): Environment {
  return Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, paths.translate(value)]));
}

/** Folder of a path that the container knows; what no volume has is beneath its workspace, "/" being that itself. */
function placeOf(path: string | undefined, workspace: string, paths: PathMapping): string {
  if (path === undefined) return workspace;
  // Normalised from "/" on, so that no ".." leads out of the workspace or a volume.
  const absolute = posix.join('/', path);
  return paths.covers(absolute) ? paths.translate(absolute) : join(workspace, absolute);
}

async function mountsOf(container: Container, volumes: VolumeFolders, variables: Environment): Promise<MappedPath[]> {
  const mapped: MappedPath[] = [];
  for (const { name, mountPath, subPath = '', subPathExpr = '' } of container.volumeMounts ?? []) {
    const volume = volumes.get(name);
    // The service account's token volume has no folder.
    if (volume === undefined) continue;
    const place = join(
      volume,
      expand(subPathExpr === '' ? subPath : subPathExpr, (key) => lookup(variables, key)),
    );
    await makeFolder(place);
    mapped.push({ path: mountPath, place });
  }
  return mapped;
}

/** As kubelet makes a subPath that is not there; one that is a file stays one. */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
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
