import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { KubeClient } from '../../../../apis/client/transport.ts';
import { ApiError } from '../../../../apis/machinery/errors.ts';
import { ConfigurationReader } from '../api/configuration.ts';
import type { Pod, ResourceList, Volume } from '../api/pod.ts';
import type { PodAddresses } from '../containers/field-reference.ts';
import type { ClaimTable } from './claims.ts';
import { volumeFiles } from './volume-files.ts';

/** Folders of a Pod's volumes on this machine, by volume name. */
export type VolumeFolders = ReadonlyMap<string, string>;

export interface PodVolumeOptions {
  pod: Pod;
  addresses: PodAddresses;
  /** Folder of the volumes that live as long as the Pod. */
  dir: string;
  claims: ClaimTable;
  allocatable: ResourceList;
  client: KubeClient;
  signal: AbortSignal;
}

/**
 * Makes the folders of all volumes that a container of the Pod mounts. What kubelet writes itself is written anew.
 * @throws ApiError with the message of kubelet's FailedMount Event.
 */
export async function preparePodVolumes(options: PodVolumeOptions): Promise<VolumeFolders> {
  const { pod, client, signal } = options;
  const reader = new ConfigurationReader({ client, signal, namespace: pod.metadata.namespace ?? '' });
  const folders = new Map<string, string>();
  for (const volume of mountedVolumes(pod)) {
    try {
      folders.set(volume.name, await prepare(volume, options, reader));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const reason = error instanceof ApiError ? error.reason : 'InternalError';
      throw new ApiError(reason, `MountVolume.SetUp failed for volume "${volume.name}" : ${message}`, { cause: error });
    }
  }
  return folders;
}

/** Without the service account's token, which kube-apiserver adds to every Pod by itself and which is left out here. */
function mountedVolumes(pod: Pod): Volume[] {
  const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  const mounted = new Set(containers.flatMap(({ volumeMounts = [] }) => volumeMounts.map(({ name }) => name)));
  return (pod.spec.volumes ?? []).filter(
    ({ name, projected }) => mounted.has(name) && !(name.startsWith('kube-api-access-') && projected !== undefined),
  );
}

async function prepare(volume: Volume, options: PodVolumeOptions, reader: ConfigurationReader): Promise<string> {
  const { pod, claims } = options;
  if (volume.persistentVolumeClaim !== undefined) {
    const folder = claims.folderOf(pod.metadata.namespace ?? '', volume.persistentVolumeClaim.claimName);
    await mkdir(folder, { recursive: true });
    return folder;
  }
  const folder = join(options.dir, volume.name);
  const files = volume.emptyDir === undefined ? await volumeFiles(volume, { ...options, reader }) : [];
  if (files === undefined) {
    const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'unknown';
    throw new ApiError('Invalid', `${kind} volumes are not supported by the local node`);
  }
  // Only emptyDir is the Pod's own to write.
  if (volume.emptyDir === undefined) await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const { path, content, mode } of files) {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
    // Not at writing, where the umask takes its part.
    await chmod(file, mode);
  }
  return folder;
}
