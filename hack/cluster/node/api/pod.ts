import type { KubeObject } from '../../../../apis/machinery/meta.ts';

/** What this node reads and writes of core/v1 Pods (k8s.io/api/core/v1/types.go); everything else passes unseen. */
export interface Pod extends KubeObject {
  spec: PodSpec;
  status?: PodStatus;
}

export type RestartPolicy = 'Always' | 'OnFailure' | 'Never';

export interface PodSpec {
  nodeName?: string;
  schedulerName?: string;
  schedulingGates?: { name: string }[];
  nodeSelector?: Record<string, string>;
  affinity?: { nodeAffinity?: { requiredDuringSchedulingIgnoredDuringExecution?: NodeSelector } };
  serviceAccountName?: string;
  hostname?: string;
  hostNetwork?: boolean;
  restartPolicy?: RestartPolicy;
  initContainers?: Container[];
  containers: Container[];
  ephemeralContainers?: { name: string }[];
  volumes?: Volume[];
  readinessGates?: { conditionType: string }[];
  activeDeadlineSeconds?: number;
  terminationGracePeriodSeconds?: number;
}

export interface NodeSelector {
  nodeSelectorTerms: { matchExpressions?: NodeSelectorRequirement[]; matchFields?: NodeSelectorRequirement[] }[];
}

export interface NodeSelectorRequirement {
  key: string;
  operator: string;
  values?: string[];
}

/** A volume is its name and one further key that says what kind it is; kinds that are not run here pass unseen. */
export interface Volume {
  name: string;
  emptyDir?: object;
  configMap?: ConfigMapSource & FileModes;
  secret?: { secretName?: string; items?: KeyToPath[]; optional?: boolean } & FileModes;
  downwardAPI?: DownwardSource & FileModes;
  projected?: { sources?: Projection[] } & FileModes;
  persistentVolumeClaim?: { claimName: string };
}

/** Permissions of files: the one that a file has of its own comes first. */
export interface FileModes {
  defaultMode?: number;
}

export interface KeyToPath {
  key: string;
  path: string;
  mode?: number;
}

export interface ConfigMapSource {
  name?: string;
  items?: KeyToPath[];
  optional?: boolean;
}

export interface DownwardSource {
  items?: { path: string; fieldRef?: { fieldPath: string }; resourceFieldRef?: ResourceFieldRef; mode?: number }[];
}

/** One source of a projected volume. */
export interface Projection {
  configMap?: ConfigMapSource;
  secret?: ConfigMapSource;
  downwardAPI?: DownwardSource;
}

export interface ResourceFieldRef {
  resource: string;
  divisor?: string;
  /** Only in volumes, which belong to no container. */
  containerName?: string;
}

export interface VolumeMount {
  name: string;
  mountPath: string;
  subPath?: string;
  subPathExpr?: string;
}

/** Quantities by resource name. */
export type ResourceList = Record<string, string>;

export interface Container {
  name: string;
  image?: string;
  command?: string[];
  args?: string[];
  workingDir?: string;
  env?: EnvVar[];
  envFrom?: EnvFromSource[];
  ports?: { name?: string; containerPort: number }[];
  volumeMounts?: VolumeMount[];
  resources?: { requests?: ResourceList; limits?: ResourceList };
  imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never';
  terminationMessagePath?: string;
  terminationMessagePolicy?: 'File' | 'FallbackToLogsOnError';
  readinessProbe?: Probe;
  livenessProbe?: Probe;
  startupProbe?: Probe;
  lifecycle?: { postStart?: LifecycleHandler; preStop?: LifecycleHandler };
  /** `Always` on an init container makes it a sidecar. */
  restartPolicy?: RestartPolicy;
}

export interface KeySelector {
  name: string;
  key: string;
  optional?: boolean;
}

export interface EnvVar {
  name: string;
  value?: string;
  valueFrom?: {
    fieldRef?: { fieldPath: string };
    configMapKeyRef?: KeySelector;
    secretKeyRef?: KeySelector;
    resourceFieldRef?: ResourceFieldRef;
    fileKeyRef?: unknown;
  };
}

export interface EnvFromSource {
  prefix?: string;
  configMapRef?: { name: string; optional?: boolean };
  secretRef?: { name: string; optional?: boolean };
}

export interface HttpGetAction {
  path?: string;
  port: number | string;
  host?: string;
  scheme?: string;
  httpHeaders?: { name: string; value: string }[];
}

/** What is done after the start of a container or before its end. */
export interface LifecycleHandler {
  exec?: { command?: string[] };
  httpGet?: HttpGetAction;
  sleep?: { seconds: number };
}

/** Numbers are seconds and counts; kube-apiserver fills in the defaults. */
export interface Probe {
  httpGet?: HttpGetAction;
  tcpSocket?: { port: number | string; host?: string };
  exec?: { command?: string[] };
  grpc?: unknown;
  terminationGracePeriodSeconds?: number;
  initialDelaySeconds?: number;
  timeoutSeconds?: number;
  periodSeconds?: number;
  successThreshold?: number;
  failureThreshold?: number;
}

export type PodPhase = 'Pending' | 'Running' | 'Succeeded' | 'Failed';

export interface PodStatus {
  observedGeneration?: number;
  phase?: PodPhase;
  conditions?: PodCondition[];
  reason?: string | null;
  message?: string | null;
  hostIP?: string;
  hostIPs?: { ip: string }[];
  podIP?: string;
  podIPs?: { ip: string }[];
  startTime?: string;
  initContainerStatuses?: ContainerStatus[];
  containerStatuses?: ContainerStatus[];
}

export interface PodCondition {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  /** Null takes the field of an earlier condition away: a strategic merge patch keeps what it does not name. */
  reason?: string | null;
  message?: string | null;
  lastTransitionTime?: string;
  observedGeneration?: number;
}

/** Exactly one of the three is set. Times are RFC 3339, whole seconds. */
export interface ContainerState {
  waiting?: { reason: string; message?: string };
  running?: { startedAt: string };
  terminated?: TerminatedState;
}

export interface TerminatedState {
  exitCode: number;
  signal?: number;
  reason: string;
  message?: string;
  startedAt: string | null;
  finishedAt: string | null;
  containerID?: string;
}

export interface ContainerStatus {
  name: string;
  state: ContainerState;
  lastState: ContainerState;
  ready: boolean;
  started: boolean;
  restartCount: number;
  image: string;
  imageID: string;
  containerID?: string;
}

/** What tells one Pod from every other, and what its Events, paths and messages are made of. */
export interface PodIdentity {
  namespace: string;
  name: string;
  uid: string;
}

/** @throws Error for an object that kube-apiserver cannot have stored. */
export function identityOf(pod: Pod): PodIdentity {
  const { namespace, name, uid } = pod.metadata;
  if (namespace === undefined || name === undefined || uid === undefined) {
    throw new Error('a Pod without namespace, name or uid is none that kube-apiserver stored');
  }
  return { namespace, name, uid };
}

/** Path of a Pod in kube-apiserver. */
export function podPath(pod: PodIdentity): string {
  return `/api/v1/namespaces/${encodeURIComponent(pod.namespace)}/pods/${encodeURIComponent(pod.name)}`;
}
