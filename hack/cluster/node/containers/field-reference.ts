import { ApiError } from '../../../../apis/machinery/errors.ts';
import type { Pod } from '../api/pod.ts';

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
