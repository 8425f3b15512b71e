import { ApiError } from '../../../../apis/machinery/errors.ts';
import type { Container, Pod, ResourceFieldRef, ResourceList } from '../api/pod.ts';
import { quantityOf } from '../api/quantity.ts';

/** Addresses that a container may ask for; the Pod's status need not have them yet. */
export interface PodAddresses {
  podIP: string;
  hostIP: string;
}

const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/;

/**
 * The value of a downward API field (k8s.io/kubernetes/pkg/kubelet/kubelet_pods.go, podFieldSelectorRuntimeValue).
 * @throws ApiError Invalid for a field that does not exist.
 */
export function fieldValue(fieldPath: string, pod: Pod, addresses: PodAddresses): string {
  const [, map, key] = keyed.exec(fieldPath) ?? [];
  if (map !== undefined && key !== undefined) {
    return (map === 'labels' ? pod.metadata.labels : pod.metadata.annotations)?.[key] ?? '';
  }
  switch (fieldPath) {
    case 'metadata.name':
      return pod.metadata.name ?? '';
    case 'metadata.namespace':
      return pod.metadata.namespace ?? '';
    case 'metadata.uid':
      return pod.metadata.uid ?? '';
    case 'spec.nodeName':
      return pod.spec.nodeName ?? '';
    case 'spec.serviceAccountName':
      return pod.spec.serviceAccountName ?? '';
    case 'status.hostIP':
    case 'status.hostIPs':
      return addresses.hostIP;
    case 'status.podIP':
    case 'status.podIPs':
      return addresses.podIP;
    default:
      throw new ApiError('Invalid', `unsupported fieldPath: ${fieldPath}`);
  }
}

/**
 * The value of a container's resource field in units of the divisor, rounded up; a limit that is not set is what the
 * node has to give (k8s.io/kubernetes/pkg/api/v1/resource, ExtractContainerResourceValue).
 * @throws ApiError Invalid for a field that does not exist.
 */
export function resourceValue(field: ResourceFieldRef, container: Container, allocatable: ResourceList): string {
  const [, kind, resource = ''] = /^(limits|requests)\.(.+)$/.exec(field.resource) ?? [];
  if (kind === undefined) throw new ApiError('Invalid', `unsupported container resource : ${field.resource}`);
  const { limits = {}, requests = {} } = container.resources ?? {};
  const quantity = kind === 'limits' ? (limits[resource] ?? allocatable[resource]) : requests[resource];
  const divisor = quantityOf(field.divisor ?? '0');
  const units = quantityOf(quantity ?? '0') / (divisor === 0 ? 1 : divisor);
  // A double may be a little above the whole number that is meant.
  return String(Math.ceil(units - 1e-9));
}

const sets = /^metadata\.(labels|annotations)$/;

/**
 * As {@link fieldValue}, and all labels or annotations as lines `key="value"`: only volumes can have those
 * (k8s.io/kubernetes/pkg/fieldpath, FormatMap).
 * @throws ApiError Invalid for a field that does not exist.
 */
export function volumeFieldValue(fieldPath: string, pod: Pod, addresses: PodAddresses): string {
  const [, set] = sets.exec(fieldPath) ?? [];
  if (set === undefined) return fieldValue(fieldPath, pod, addresses);
  const entries = Object.entries((set === 'labels' ? pod.metadata.labels : pod.metadata.annotations) ?? {});
  return entries
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .sort()
    .join('\n');
}
