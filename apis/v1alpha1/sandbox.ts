import type { Condition, ObjectMeta } from '../machinery/meta.ts';

/** The part of an agents.x-k8s.io/v1beta1 Sandbox that a Session is a function of. */
export interface Sandbox {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
  spec?: SandboxSpec;
  status?: SandboxStatus;
}

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
