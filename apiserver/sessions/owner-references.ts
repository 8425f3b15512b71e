import type { OwnerReference } from '../../apis/machinery/meta.ts';
import type { DecodedSession } from './decode.ts';

/** When duplicates are looked for: in what was sent, or in what a patch has made (k8s.io/apiserver/pkg/endpoints/handlers/rest.go). */
export type DedupeMoment = 'before' | 'after';

const texts: Readonly<Record<DedupeMoment, string>> = {
  before:
    '.metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: ',
  after:
    '.metadata.ownerReferences contains duplicate entries after mutating admission happens; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: ',
};

/** The Session with each owner once, and a warning if one was there twice. */
export function dedupeOwners(decoded: DecodedSession, moment: DedupeMoment): DecodedSession {
  const { ownerReferences } = decoded.metadata;
  if (ownerReferences === undefined) return decoded;
  const seen = new Set<string>();
  const kept: OwnerReference[] = [];
  const duplicates: string[] = [];
  for (const owner of ownerReferences) {
    const { apiVersion, kind, name, uid, controller, blockOwnerDeletion } = owner;
    const identity = JSON.stringify([apiVersion, kind, name, uid, controller, blockOwnerDeletion]);
    if (seen.has(identity)) duplicates.push(uid ?? '');
    else kept.push(owner);
    seen.add(identity);
  }
  if (duplicates.length === 0) return decoded;
  return {
    ...decoded,
    metadata: { ...decoded.metadata, ownerReferences: kept },
    warnings: [...decoded.warnings, `${texts[moment]}${duplicates.join(', ')}`],
  };
}
