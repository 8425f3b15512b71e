import type { OwnerReference } from '../machinery/meta.ts';
import { annotations, labels, poolApi } from '../names.ts';
import { serializeDocument } from './document.ts';
import { toSandboxLabels } from './labels.ts';
import { firstDeadline, type NewSession, newDocument, toSandboxFinalizer } from './new-sandbox.ts';

/** The JSON merge patch (RFC 7396) that makes a pool member the Sandbox of a session. */
export interface AdoptionPatch {
  metadata: {
    /** Fences: of the Sandbox that was seen, and as it was seen. */
    uid: string;
    resourceVersion: string;
    generateName?: string;
    ownerReferences: OwnerReference[] | null;
    labels: Record<string, string | null>;
    annotations: Record<string, string>;
    finalizers?: string[];
  };
  spec: { shutdownTime: string; shutdownPolicy: 'Delete' };
}

/**
 * A warm start: pool label and pool owner out, session in, one write. Both must go: the pool takes back a Sandbox that has
 * only its label, and one that has only its owner goes away with the pool.
 */
export function adoptionPatch(session: NewSession, member: { uid: string; resourceVersion: string }): AdoptionPatch {
  const { metadata, retry } = session;
  const document = newDocument(session, 'Warm');
  return {
    metadata: {
      uid: member.uid,
      resourceVersion: member.resourceVersion,
      ...(metadata.generateName === undefined ? {} : { generateName: metadata.generateName }),
      ownerReferences: metadata.ownerReferences ?? null,
      labels: {
        [poolApi.memberLabel]: null,
        [labels.session]: 'true',
        ...retry?.labels,
        ...toSandboxLabels(metadata.labels),
      },
      annotations: { [annotations.session]: serializeDocument(document), ...retry?.annotations },
      ...(metadata.finalizers === undefined ? {} : { finalizers: metadata.finalizers.map(toSandboxFinalizer) }),
    },
    spec: { shutdownTime: firstDeadline(document), shutdownPolicy: 'Delete' },
  };
}
