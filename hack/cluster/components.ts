import { join } from 'node:path';
import type { Command, KubeBinaries } from '../kube/binaries.ts';
import type { Pki } from './pki.ts';
import type { ProcessSpec } from './process.ts';

/** The ports of the control plane, all on 127.0.0.1. */
export const CONTROL_PLANE_PORTS = [
  'etcd',
  'etcdPeer',
  'kubeApiserver',
  'kubeControllerManager',
  'agentSandboxMetrics',
  'agentSandboxHealth',
] as const;

/** Port numbers by name. */
export type ControlPlanePorts = Record<(typeof CONTROL_PLANE_PORTS)[number], number>;

/** What the command lines below are made of. */
export interface ComponentContext {
  dir: string;
  binaries: KubeBinaries;
  pki: Pki;
  ports: ControlPlanePorts;
}

/** etcd, reachable only with kube-apiserver's certificate: sandboxes here run without isolation from 127.0.0.1. */
export function etcd({ dir, binaries, pki, ports }: ComponentContext): ProcessSpec {
  const client = `https://127.0.0.1:${ports.etcd}`;
  const peer = `https://127.0.0.1:${ports.etcdPeer}`;
  return spec('etcd', binaries.etcd, {
    '--name': 'local',
    '--data-dir': join(dir, 'etcd'),
    '--listen-client-urls': client,
    '--advertise-client-urls': client,
    '--listen-peer-urls': peer,
    '--initial-advertise-peer-urls': peer,
    '--initial-cluster': `local=${peer}`,
    '--client-cert-auth': 'true',
    '--trusted-ca-file': pki.etcdCa.cert,
    '--cert-file': pki.etcd.cert,
    '--key-file': pki.etcd.key,
    '--peer-client-cert-auth': 'true',
    '--peer-trusted-ca-file': pki.etcdCa.cert,
    '--peer-cert-file': pki.etcd.cert,
    '--peer-key-file': pki.etcd.key,
    // What is written survives the death of any process, even by SIGKILL, in the kernel's page cache. Only a power
    // failure could lose it, which a cluster on one's own machine need not survive; and every write is much faster.
    '--unsafe-no-fsync': 'true',
  });
}

/** kube-apiserver with RBAC, aggregation, service account tokens and a client certificate for the node's server. */
export function kubeApiserver(
  { dir, binaries, pki, ports }: ComponentContext,
  options: { auditLog: boolean; flags: Record<string, string> },
): ProcessSpec {
  return spec('kube-apiserver', binaries.kubeApiserver, {
    '--etcd-servers': `https://127.0.0.1:${ports.etcd}`,
    '--etcd-cafile': pki.etcdCa.cert,
    '--etcd-certfile': pki.etcdClient.cert,
    '--etcd-keyfile': pki.etcdClient.key,
    '--bind-address': '127.0.0.1',
    '--advertise-address': '127.0.0.1',
    '--secure-port': String(ports.kubeApiserver),
    '--tls-cert-file': pki.kubeApiserver.cert,
    '--tls-private-key-file': pki.kubeApiserver.key,
    '--client-ca-file': pki.ca.cert,
    '--authorization-mode': 'RBAC',
    '--allow-privileged': 'true',
    '--service-cluster-ip-range': '10.0.0.0/24',
    // Nobody routes Service addresses here, and a loopback address may not be an endpoint.
    '--endpoint-reconciler-type': 'none',
    '--service-account-issuer': 'https://kubernetes.default.svc.cluster.local',
    '--service-account-key-file': pki.serviceAccount.publicKey,
    '--service-account-signing-key-file': pki.serviceAccount.privateKey,
    '--requestheader-client-ca-file': pki.frontProxyCa.cert,
    '--requestheader-allowed-names': 'front-proxy-client',
    '--requestheader-username-headers': 'X-Remote-User',
    '--requestheader-uid-headers': 'X-Remote-Uid',
    '--requestheader-group-headers': 'X-Remote-Group',
    '--requestheader-extra-headers-prefix': 'X-Remote-Extra-',
    '--proxy-client-cert-file': pki.frontProxyClient.cert,
    '--proxy-client-key-file': pki.frontProxyClient.key,
    '--kubelet-certificate-authority': pki.ca.cert,
    '--kubelet-client-certificate': pki.kubeletClient.cert,
    '--kubelet-client-key': pki.kubeletClient.key,
    '--kubelet-preferred-address-types': 'InternalIP',
    ...(options.auditLog
      ? {
          '--audit-policy-file': join(import.meta.dirname, 'manifests', 'audit-policy.yaml'),
          '--audit-log-path': join(dir, 'logs', 'audit.log'),
        }
      : {}),
    ...options.flags,
  });
}

const CONTROLLERS = [
  'namespace-controller',
  'garbage-collector-controller',
  'resourcequota-controller',
  'serviceaccount-controller',
  'serviceaccount-token-controller',
  'root-ca-certificate-publisher-controller',
  // Bind claims to volumes, and keep both as long as they are used.
  'persistentvolume-binder-controller',
  'persistentvolumeclaim-protection-controller',
  'persistentvolume-protection-controller',
  // Fills the roles view, edit and admin from roles that are labelled to be part of them.
  'clusterrole-aggregation-controller',
  // Type-checks policies and says in their status what is wrong with them.
  'validatingadmissionpolicy-status-controller',
];

/** kube-controller-manager with the controllers that sessions need; Pods and Services have none here. */
export function kubeControllerManager({ binaries, pki, ports }: ComponentContext, kubeconfig: string): ProcessSpec {
  return spec('kube-controller-manager', binaries.kubeControllerManager, {
    '--kubeconfig': kubeconfig,
    '--authentication-kubeconfig': kubeconfig,
    '--authorization-kubeconfig': kubeconfig,
    '--bind-address': '127.0.0.1',
    '--secure-port': String(ports.kubeControllerManager),
    '--tls-cert-file': pki.kubeControllerManager.cert,
    '--tls-private-key-file': pki.kubeControllerManager.key,
    '--client-ca-file': pki.ca.cert,
    '--requestheader-client-ca-file': pki.frontProxyCa.cert,
    '--leader-elect': 'false',
    '--controllers': CONTROLLERS.join(','),
    // Without it the garbage collector acts as the manager itself, which may not read custom resources.
    '--use-service-account-credentials': 'true',
    '--service-account-private-key-file': pki.serviceAccount.privateKey,
    '--root-ca-file': pki.ca.cert,
    // The defaults (20 and 30) would make the garbage collector the slowest part of a mass deletion.
    '--kube-api-qps': '200',
    '--kube-api-burst': '400',
  });
}

/** The agent-sandbox controller with warm pools. */
export function agentSandboxController({ binaries, ports }: ComponentContext, kubeconfig: string): ProcessSpec {
  return {
    ...spec('agent-sandbox-controller', binaries.agentSandboxController, {
      '--extensions': 'true',
      '--leader-elect': 'false',
      '--metrics-bind-address': `127.0.0.1:${ports.agentSandboxMetrics}`,
      '--health-probe-bind-address': `127.0.0.1:${ports.agentSandboxHealth}`,
    }),
    env: { ...process.env, KUBECONFIG: kubeconfig },
  };
}

function spec(name: string, command: Command, flags: Record<string, string>): ProcessSpec {
  const args = Object.entries(flags).map(([flag, value]) => `${flag}=${value}`);
  return { name, file: command.file, args: [...command.args, ...args] };
}
