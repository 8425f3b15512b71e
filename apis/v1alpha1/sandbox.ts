import type { Condition, ObjectMeta } from '../machinery/meta.ts';

/** The part of an agents.x-k8s.io/v1beta1 Sandbox that a Session is a function of. */
export interface Sandbox {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
  spec?: SandboxSpec;
  status?: SandboxStatus;
}

/**
 * The managedFields of a patch of ours. Takes away who owns which field of a Sandbox; the owners of the Session's fields are in
 * its document. From then on kube-apiserver keeps none (apimachinery/pkg/util/managedfields/internal/skipnonapplied.go), which
 * takes a third of the bytes out of every watch and a third of the time off every write.
 */
export const noOwnership: readonly Record<string, never>[] = [{}];

export interface SandboxSpec {
  podTemplate?: PodTemplate;
  shutdownTime?: string;
  shutdownPolicy?: 'Delete' | 'Retain';
  operatingMode?: 'Running' | 'Suspended';
  volumeClaimTemplates?: VolumeClaimTemplate[];
}

export interface VolumeClaimTemplate {
  metadata: { name: string };
  spec: { accessModes: string[]; resources: { requests: { storage: string } } };
}

export interface SandboxStatus {
  conditions?: Condition[];
  podIPs?: string[];
  nodeName?: string;
}

export interface PodTemplate {
  metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: PodSpec;
}

/** A PodSpec as far as we look into it; everything else passes through untouched. */
export interface PodSpec {
  containers?: Container[];
  automountServiceAccountToken?: boolean;
  [field: string]: unknown;
}

export interface Container {
  name: string;
  image?: string;
  command?: string[];
  args?: string[];
  env?: EnvVar[];
  ports?: { containerPort: number; name?: string; protocol?: string }[];
  volumeMounts?: { name: string; mountPath: string }[];
  readinessProbe?: unknown;
  [field: string]: unknown;
}

export interface EnvVar {
  name: string;
  value?: string;
  valueFrom?: { fieldRef?: { fieldPath: string }; [source: string]: unknown };
}
