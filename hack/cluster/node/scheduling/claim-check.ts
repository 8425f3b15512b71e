import { hasReason } from '../../../../apis/machinery/errors.ts';
import type { Pod } from '../api/pod.ts';
import type { Claim, ClaimTable } from '../volumes/claims.ts';

/** What the claims of a Pod mean for its scheduling. */
export type ClaimVerdict =
  | { kind: 'bound' }
  /** In kube-scheduler's words. */
  | { kind: 'refused'; reason: string }
  /** The scheduler's choice of a node has to be written on these, and then they will be bound. */
  | { kind: 'binding'; undecided: Claim[] };

/** Names of the claims that a Pod's volumes are. */
export function claimNamesOf(pod: Pod): string[] {
  return (pod.spec.volumes ?? []).flatMap(({ persistentVolumeClaim: claim }) =>
    claim === undefined ? [] : [claim.claimName],
  );
}

/** k8s.io/kubernetes/pkg/scheduler/framework/plugins/volumebinding, for a cluster of one node. */
export function judgeClaims(pod: Pod, claims: ClaimTable): ClaimVerdict {
  const namespace = pod.metadata.namespace ?? '';
  const undecided: Claim[] = [];
  for (const name of claimNamesOf(pod)) {
    const claim = claims.claim(namespace, name);
    const refusal = refusalOf(name, claim, claims);
    if (refusal !== undefined) return { kind: 'refused', reason: refusal };
    if (claim !== undefined && !isUsable(namespace, name, claims)) undecided.push(claim);
  }
  return undecided.length === 0 ? { kind: 'bound' } : { kind: 'binding', undecided };
}

function refusalOf(name: string, claim: Claim | undefined, claims: ClaimTable): string | undefined {
  if (claim === undefined) return `persistentvolumeclaim "${name}" not found`;
  if (claim.metadata.deletionTimestamp !== undefined) return `persistentvolumeclaim "${name}" is being deleted`;
  const { volumeName = '', storageClassName = '' } = claim.spec;
  if (claim.status?.phase === 'Lost') {
    return `persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${volumeName}"`;
  }
  if (volumeName !== '') return undefined;
  const storageClass = claims.storageClass(storageClassName);
  if (storageClassName !== '' && storageClass === undefined) {
    return `storageclass.storage.k8s.io "${storageClassName}" not found`;
  }
  const waits = storageClass?.volumeBindingMode === 'WaitForFirstConsumer';
  return waits ? undefined : 'pod has unbound immediate PersistentVolumeClaims';
}

function isUsable(namespace: string, name: string, claims: ClaimTable): boolean {
  try {
    claims.folderOf(namespace, name);
    return true;
  } catch (error) {
    if (hasReason(error, 'Invalid', 'NotFound')) return false;
    throw error;
  }
}
