import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ensureBinaries, type KubeBinaries } from '../kube/binaries.ts';
import { type Lock, tryLock } from '../kube/lock.ts';
import { SetupError } from '../kube/setup-error.ts';
import {
  agentSandboxController,
  CONTROL_PLANE_PORTS,
  type ControlPlanePorts,
  etcd,
  kubeApiserver,
  kubeControllerManager,
} from './components.ts';
import { type Kubeconfigs, writeKubeconfigs } from './kubeconfig.ts';
import { createKubectl, type Kubectl } from './kubectl.ts';
import { ensurePki, type Pki } from './pki.ts';
import { assignPorts } from './ports.ts';
import { answersOk } from './probe.ts';
import type { ProcessExit, SupervisedProcess } from './process.ts';
import { Supervisor } from './supervisor.ts';

/** Where and how a control plane runs. */
export interface ControlPlaneOptions {
  /** Holds all its state; made when missing. A second start in the same folder finds its objects again. */
  dir: string;
  report: (line: string) => void;
  /** For lines that the next one overwrites (see streamReporter in hack/kube/progress.ts). */
  progress?: (line: string) => void;
  /** Called when a process ends that nobody stopped. The others go on running. */
  onExit: (exit: ProcessExit) => void;
  /** Write each request's metadata to logs/audit.log. Default: false. */
  auditLog?: boolean;
  /** Further flags of kube-apiserver by their names, with the dashes. */
  apiserverFlags?: Record<string, string>;
  /** Cancels the start; what had been started is stopped. */
  signal?: AbortSignal;
  /** For finding and building the binaries. Default: process.env. */
  env?: NodeJS.ProcessEnv;
}

/** A running etcd, kube-apiserver, kube-controller-manager and agent-sandbox controller. */
export interface ControlPlane {
  dir: string;
  binaries: KubeBinaries;
  /** https URL of kube-apiserver. */
  server: string;
  ports: ControlPlanePorts;
  /** Remembers ports over restarts; for assignPorts of whoever adds servers to this cluster. */
  portsFile: string;
  pki: Pki;
  kubeconfigs: Kubeconfigs;
  kubectl: Kubectl;
  /** Starts further processes, which are logged, watched and ended as the control plane's own. */
  supervisor: Supervisor;
  /** What runs at this moment. */
  readonly processes: SupervisedProcess[];
  /** Ends everything, whatever `supervisor` started first and etcd last. */
  stop(): Promise<void>;
}

/**
 * Starts the control plane: binaries (built when missing), certificates, etcd, kube-apiserver, agent-sandbox's CRDs and
 * the roles, then the controllers. Resolves when Sandboxes can be created and have Pods made for them.
 * Rejects with a SetupError (a sentence for the user) or the signal's reason, and then leaves no process behind.
 */
export async function startControlPlane(given: ControlPlaneOptions): Promise<ControlPlane> {
  // Absolute, because the paths in it are handed to programs and shells that run elsewhere.
  const options = { ...given, dir: resolve(given.dir) };
  const lock = await lockState(options.dir);
  const supervisor = new Supervisor(options.dir, options.onExit);
  const stop = async (): Promise<void> => {
    await supervisor.stop();
    await lock.release();
  };
  try {
    return await start(options, supervisor, stop);
  } catch (error) {
    await stop();
    // Whatever was cancelled says so in its own way.
    options.signal?.throwIfAborted();
    throw error;
  }
}

async function makeFolder(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new SetupError(
      `${dir} cannot be used as a folder for the cluster (${code}): set SOJOURN_DIR to another one.`,
      {
        cause: error,
      },
    );
  }
}

async function lockState(dir: string): Promise<Lock> {
  await makeFolder(dir);
  const attempt = await tryLock(join(dir, 'lock'));
  if ('lock' in attempt) return attempt.lock;
  throw new SetupError(
    `A cluster already runs in ${dir} (process ${attempt.holder.pid}): use it, stop it first, or set SOJOURN_DIR to ` +
      'another folder.',
  );
}

async function start(
  options: ControlPlaneOptions,
  supervisor: Supervisor,
  stop: () => Promise<void>,
): Promise<ControlPlane> {
  const { dir, report } = options;
  const ended = await supervisor.endLeftovers();
  if (ended.length > 0) report(`Ended what an earlier run left behind: ${ended.join(', ')}`);
  const portsFile = join(dir, 'ports.json');
  const [binaries, pki, ports] = await Promise.all([
    ensureBinaries(options),
    ensurePki(join(dir, 'pki')),
    assignPorts(portsFile, CONTROL_PLANE_PORTS),
  ]);
  const server = `https://127.0.0.1:${ports.kubeApiserver}`;
  const kubeconfigs = await writeKubeconfigs({ dir, server, pki });
  const kubectl = createKubectl(binaries.kubectl, { dir, kubeconfig: kubeconfigs.admin });
  const plane: ControlPlane = {
    ...{ dir, binaries, server, ports, portsFile, pki, kubeconfigs, kubectl, supervisor, stop },
    get processes() {
      return supervisor.processes;
    },
  };
  await startServers(plane, options);
  await applyManifests(plane, options);
  await startControllers(plane, options);
  return plane;
}

const READY_DEADLINE_MS = 60_000;

async function startServers(plane: ControlPlane, options: ControlPlaneOptions): Promise<void> {
  const { supervisor, pki, ports } = plane;
  const waiting = { deadlineMs: READY_DEADLINE_MS, signal: options.signal };
  await timed('etcd', options, async () => {
    const process = await supervisor.start(etcd(plane));
    const credentials = { ca: pki.etcdCa.cert, client: pki.etcdClient };
    await process.ready(await answersOk(`https://127.0.0.1:${ports.etcd}/readyz`, credentials), waiting);
  });
  await timed('kube-apiserver', options, async () => {
    const { auditLog = false, apiserverFlags: flags = {} } = options;
    const process = await supervisor.start(kubeApiserver(plane, { auditLog, flags }));
    await process.ready(await answersOk(`${plane.server}/readyz`, adminOf(plane)), waiting);
  });
}

async function applyManifests(plane: ControlPlane, options: ControlPlaneOptions): Promise<void> {
  await timed('agent-sandbox resources', options, async () => {
    const { crdDir, agentSandboxRoles } = plane.binaries;
    const manifests = ['node-rbac.yaml', 'agent-sandbox-rbac.yaml', 'local-storage.yaml'].map((name) =>
      join(import.meta.dirname, 'manifests', name),
    );
    const files = [crdDir, ...agentSandboxRoles, ...manifests].flatMap((path) => ['-f', path]);
    // --force-conflicts: at a restart these files are right, whoever edited the objects in between.
    await mustSucceed(plane, options, ['apply', '--server-side', '--force-conflicts', ...files]);
    // Before the controllers start: the garbage collector looks for new resources only every 30 s.
    await mustSucceed(plane, options, ['wait', '--for=condition=Established', '--timeout=30s', '-f', crdDir]);
  });
}

async function mustSucceed(plane: ControlPlane, options: ControlPlaneOptions, args: string[]): Promise<void> {
  const { code, stderr } = await plane.kubectl(args, options.signal === undefined ? {} : { signal: options.signal });
  if (code !== 0) throw new SetupError(`kubectl ${args[0]} failed while the cluster was set up: ${stderr.trimEnd()}`);
}

async function startControllers(plane: ControlPlane, options: ControlPlaneOptions): Promise<void> {
  const { supervisor, pki, ports, kubeconfigs } = plane;
  const waiting = { deadlineMs: READY_DEADLINE_MS, signal: options.signal };
  const manager = timed('kube-controller-manager', options, async () => {
    const process = await supervisor.start(kubeControllerManager(plane, kubeconfigs.kubeControllerManager));
    const credentials = { ca: pki.ca.cert, client: pki.admin };
    const healthy = await answersOk(`https://127.0.0.1:${ports.kubeControllerManager}/healthz`, credentials);
    await process.ready(healthy, waiting);
    // Its first visible work: no Pod is admitted in a namespace before it.
    const account = `${plane.server}/api/v1/namespaces/default/serviceaccounts/default`;
    await process.ready(await answersOk(account, adminOf(plane)), waiting);
  });
  const sandboxes = timed('agent-sandbox-controller', options, async () => {
    const process = await supervisor.start(agentSandboxController(plane, kubeconfigs.agentSandboxController));
    await process.ready(await answersOk(`http://127.0.0.1:${ports.agentSandboxHealth}/readyz`), waiting);
  });
  // Not Promise.all alone: after one has failed the other must not go on starting a process while we stop them.
  await Promise.allSettled([manager, sandboxes]);
  await Promise.all([manager, sandboxes]);
}

function adminOf(plane: ControlPlane): { ca: string; client: Pki['admin'] } {
  return { ca: plane.pki.ca.cert, client: plane.pki.admin };
}

async function timed(what: string, options: ControlPlaneOptions, step: () => Promise<void>): Promise<void> {
  options.signal?.throwIfAborted();
  const started = performance.now();
  await step();
  options.report(`  ${what.padEnd(26)}${((performance.now() - started) / 1000).toFixed(1)} s`);
}
