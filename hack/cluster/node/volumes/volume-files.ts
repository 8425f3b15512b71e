import { ApiError } from '../../../../apis/machinery/errors.ts';
import type { ConfigurationKind, ConfigurationReader } from '../api/configuration.ts';
import type { ConfigMapSource, DownwardSource, KeyToPath, Pod, Projection, ResourceList, Volume } from '../api/pod.ts';
import { type PodAddresses, resourceValue, volumeFieldValue } from '../containers/field-reference.ts';

/** One file of a volume that kubelet writes itself. */
export interface VolumeFile {
  /** From the volume's folder; kube-apiserver has seen to it that it does not lead out of it. */
  path: string;
  content: Buffer;
  mode: number;
}

export interface VolumeFileSources {
  pod: Pod;
  addresses: PodAddresses;
  allocatable: ResourceList;
  reader: ConfigurationReader;
}

/** kube-apiserver's default. */
const usualMode = 0o644;

/**
 * The files of a configMap, secret, downwardAPI or projected volume; undefined for any other kind.
 * @throws ApiError in kubelet's words (k8s.io/kubernetes/pkg/volume, MakePayload) when something named is missing.
 */
export async function volumeFiles(volume: Volume, sources: VolumeFileSources): Promise<VolumeFile[] | undefined> {
  const { configMap, secret, downwardAPI, projected } = volume;
  const mode = (configMap ?? secret ?? downwardAPI ?? projected)?.defaultMode ?? usualMode;
  if (configMap !== undefined) return await filesOf({ configMap }, mode, sources);
  if (secret !== undefined) {
    const { secretName, ...rest } = secret;
    return await filesOf(
      { secret: { ...rest, ...(secretName === undefined ? {} : { name: secretName }) } },
      mode,
      sources,
    );
  }
  if (downwardAPI !== undefined) return downwardFiles(downwardAPI, mode, sources);
  if (projected === undefined) return undefined;
  const files = new Map<string, VolumeFile>();
  for (const source of projected.sources ?? []) {
    for (const file of await filesOf(source, mode, sources)) files.set(file.path, file);
  }
  return [...files.values()];
}

async function filesOf(source: Projection, mode: number, sources: VolumeFileSources): Promise<VolumeFile[]> {
  if (source.configMap !== undefined) return await configurationFiles('ConfigMap', source.configMap, mode, sources);
  if (source.secret !== undefined) return await configurationFiles('Secret', source.secret, mode, sources);
  if (source.downwardAPI !== undefined) return downwardFiles(source.downwardAPI, mode, sources);
  throw new ApiError('Invalid', `${Object.keys(source).join()} sources are not supported by the local node`);
}

async function configurationFiles(
  kind: ConfigurationKind,
  { name = '', items, optional }: ConfigMapSource,
  mode: number,
  { reader }: VolumeFileSources,
): Promise<VolumeFile[]> {
  const data = (await reader.read({ kind, name, optional })) ?? new Map<string, Buffer>();
  const wanted = items ?? [...data.keys()].map((key): KeyToPath => ({ key, path: key }));
  return wanted.flatMap((item) => {
    const content = data.get(item.key);
    if (content !== undefined) return [{ path: item.path, content, mode: item.mode ?? mode }];
    if (optional === true) return [];
    const what = kind === 'Secret' ? 'references non-existent secret' : 'configmap references non-existent config';
    throw new ApiError('NotFound', `${what} key: ${item.key}`);
  });
}

function downwardFiles({ items = [] }: DownwardSource, mode: number, sources: VolumeFileSources): VolumeFile[] {
  const { pod, addresses, allocatable } = sources;
  return items.map((item) => {
    const { fieldRef, resourceFieldRef: resource } = item;
    let value = '';
    if (fieldRef !== undefined) value = volumeFieldValue(fieldRef.fieldPath, pod, addresses);
    if (resource !== undefined) {
      const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
      const container = containers.find(({ name }) => name === resource.containerName);
      if (container === undefined) throw new ApiError('NotFound', `container ${resource.containerName} not found`);
      value = resourceValue(resource, container, allocatable);
    }
    return { path: item.path, content: Buffer.from(value), mode: item.mode ?? mode };
  });
}
