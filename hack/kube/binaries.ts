import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Plan } from './build.ts';
import { defaultCacheDir, ensureBuilt } from './cache.ts';
import { SetupError } from './setup-error.ts';

/** A program to start: an executable file and its leading arguments. */
export interface Command {
  file: string;
  args: string[];
}

/** Everything of Kubernetes that the local cluster runs. */
export interface KubeBinaries {
  etcd: Command;
  kubeApiserver: Command;
  kubeControllerManager: Command;
  kubectl: Command;
  agentSandboxController: Command;
  /** Folder with agent-sandbox's CustomResourceDefinitions, one YAML file each. */
  crdDir: string;
  /** agent-sandbox's own ClusterRoles for its controller, as YAML files. */
  agentSandboxRoles: string[];
}

/** Where the binaries come from; everything has a default but the reporter. */
export interface BinariesOptions {
  /** Default: see defaultCacheDir. */
  cacheDir?: string;
  /** The Go module to build; default: this folder. */
  moduleDir?: string;
  report: (line: string) => void;
  /** For lines that the next one overwrites (see streamReporter in progress.ts). */
  progress?: (line: string) => void;
  signal?: AbortSignal;
  /** Default: process.env. */
  env?: NodeJS.ProcessEnv;
}

/**
 * The Kubernetes binaries: built on first use (minutes, needs Go), afterwards found in the cache at once.
 * `KUBEBUILDER_ASSETS` (envtest) replaces etcd, kube-apiserver and, if it is there, kubectl.
 * Rejects with a SetupError, whose message is for the user, or with the signal's reason.
 */
export async function ensureBinaries(options: BinariesOptions): Promise<KubeBinaries> {
  const env = options.env ?? process.env;
  // First, so that a wrong folder is said before minutes of building.
  const replaced = env.KUBEBUILDER_ASSETS ? await envtestAssets(env.KUBEBUILDER_ASSETS) : {};
  const entry = await ensureBuilt(kubernetesPlan(options.moduleDir ?? import.meta.dirname), {
    ...options,
    env,
    cacheDir: options.cacheDir ?? defaultCacheDir(env),
  });
  const program = (name: string): Command => ({ file: join(entry, 'bin', 'sojourn-kube'), args: [name] });
  return {
    etcd: program('etcd'),
    kubeApiserver: program('kube-apiserver'),
    kubeControllerManager: program('kube-controller-manager'),
    kubectl: program('kubectl'),
    agentSandboxController: { file: join(entry, 'bin', 'agent-sandbox-controller'), args: [] },
    crdDir: join(entry, 'agent-sandbox', 'crds'),
    agentSandboxRoles: ['rbac.generated.yaml', 'extensions-rbac.generated.yaml'].map((name) =>
      join(entry, 'agent-sandbox', name),
    ),
    ...replaced,
  };
}

/** Must say what go.mod requires as k8s.io/kubernetes; a test compares them. */
export const KUBERNETES_VERSION = '1.37.1';

function kubernetesPlan(moduleDir: string): Plan {
  const [major, minor] = KUBERNETES_VERSION.split('.');
  // Without these kube-apiserver calls itself v0.0.0-master and everything that depends on its version breaks.
  const values = [
    `k8s.io/component-base/version.gitVersion=v${KUBERNETES_VERSION}`,
    `k8s.io/component-base/version.gitMajor=${major}`,
    `k8s.io/component-base/version.gitMinor=${minor}`,
    `k8s.io/client-go/pkg/version.gitVersion=v${KUBERNETES_VERSION}`,
  ];
  return {
    name: 'kube',
    subject: 'The Kubernetes binaries',
    announcement: `Building Kubernetes ${KUBERNETES_VERSION} and the agent-sandbox controller (once; takes minutes)`,
    moduleDir,
    targets: [
      { package: 'sojourn.dev/hack/kube', file: 'sojourn-kube' },
      { package: 'sigs.k8s.io/agent-sandbox/cmd/agent-sandbox-controller', file: 'agent-sandbox-controller' },
    ],
    folders: [{ module: 'sigs.k8s.io/agent-sandbox', folder: 'k8s', as: 'agent-sandbox' }],
    ldflags: `-s -w ${values.map((value) => `-X ${value}`).join(' ')}`,
  };
}

async function envtestAssets(folder: string): Promise<Partial<KubeBinaries>> {
  const required = async (name: string): Promise<Command> => {
    const file = join(folder, name);
    if (await isExecutable(file)) return { file, args: [] };
    throw new SetupError(
      `KUBEBUILDER_ASSETS is set to ${folder}, but there is no executable ${name} in it: fill it with ` +
        '"setup-envtest use -p path", or unset it to use the binaries that Sojourn builds itself.',
    );
  };
  const kubectl = join(folder, 'kubectl');
  return {
    etcd: await required('etcd'),
    kubeApiserver: await required('kube-apiserver'),
    ...((await isExecutable(kubectl)) ? { kubectl: { file: kubectl, args: [] } } : {}),
  };
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES') return false;
    throw error;
  }
}
