import type { VolumeClaimTemplate } from './sandbox.ts';

/** The volume that keeps a sandbox's files while it is suspended, and where its program finds them. */
export const workspaceVolume = { name: 'workspace', mountPath: '/workspace' } as const;

/** A positive quantity (k8s.io/apimachinery/pkg/api/resource/quantity.go) that is a size: no fractions of a byte. */
const volumeSize = /^\+?(?:\d+\.?\d*|\.\d+)(?:[kMGTPE]|[KMGTPE]i|[eE][+]?\d{1,2})?$/;

/** Whether a text is a size that a volume can have. */
export function isVolumeSize(text: string): boolean {
  return text.length <= 32 && volumeSize.test(text) && /[1-9]/.test(text.replace(/[eE]\+?\d+$/, ''));
}

/** The claim of a workspace volume. */
export function workspaceClaim(size: string): VolumeClaimTemplate {
  return {
    metadata: { name: workspaceVolume.name },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: size } } },
  };
}
