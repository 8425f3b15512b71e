import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ClusterConfig, loadClusterConfig } from '../../apis/client/kubeconfig.ts';
import { KubeClient } from '../../apis/client/transport.ts';
import { hasReason } from '../../apis/machinery/errors.ts';
import { type ControlPlane, startControlPlane } from '../../hack/cluster/control-plane.ts';
import type { KubectlOptions, KubectlResult } from '../../hack/cluster/kubectl.ts';
import { until } from './until.ts';

/** A first start may have to wait for a busy machine; the binaries themselves are built before the tests. */
const startTimeoutMs = 180_000;

/** A real etcd, kube-apiserver, kube-controller-manager and agent-sandbox controller, shared by all suites of a run. */
export interface TestControlPlane {
  /** The control plane itself: pki, ports, supervisor, kubeconfigs. */
  readonly controlPlane: ControlPlane;
  /** The admin's client. */
  readonly client: KubeClient;
  /** The control plane's folder, which goes away with it. */
  readonly dir: string;
  clusterConfig(kind: 'admin' | 'node' | 'alice' | 'bob'): Promise<ClusterConfig>;
  kubectl(args: string[], options?: KubectlOptions): Promise<KubectlResult>;
  /** What a node serves with: PEM. */
  servingCerts(): Promise<{ cert: string; key: string; clientCa: string }>;
}

interface Running {
  controlPlane: ControlPlane;
  client: KubeClient;
}

/** Started by the first suite that needs it, stopped after the last suite of the run. */
class SharedControlPlane {
  #starting: Promise<Running> | undefined;
  readonly #stops: (() => Promise<void>)[] = [];
  /** pids of processes that a test is about to kill: their end is no news. */
  readonly doomed = new Set<number>();

  /** Registers the stop of something that runs on the control plane: it comes before the control plane's own. */
  stopBefore(stop: () => Promise<void>): void {
    this.#stops.push(stop);
  }

  async get(): Promise<Running> {
    this.#starting ??= start(this.doomed);
    return await this.#starting;
  }

  async stop(): Promise<void> {
    // A failed start has failed the suites that needed it and left nothing behind.
    const running = await this.#starting?.catch(() => undefined);
    if (running === undefined) return;
    for (const stop of this.#stops.reverse()) await stop();
    await running.client.close();
    await running.controlPlane.stop();
    await rm(running.controlPlane.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function start(doomed: ReadonlySet<number>): Promise<Running> {
  const lines: string[] = [];
  const dir = await mkdtemp(join(tmpdir(), 'sojourn-test-'));
  try {
    const controlPlane = await startControlPlane({
      dir,
      report: (line) => lines.push(line),
      auditLog: true,
      apiserverFlags: { '--audit-policy-file': join(import.meta.dirname, 'audit-policy.yaml') },
      onExit: (exit) => {
        if (!doomed.has(exit.pid)) process.stderr.write(`the control plane lost a process: ${JSON.stringify(exit)}\n`);
      },
    });
    return { controlPlane, client: new KubeClient(await loadClusterConfig(controlPlane.kubeconfigs.admin)) };
  } catch (error) {
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
    throw new Error(`the control plane did not start; it said:\n${lines.join('\n')}`, { cause: error });
  }
}

/** The run's one control plane. */
export const shared = new SharedControlPlane();

// This file is loaded outside of every suite, so this is a hook of the run.
after(async function () {
  this.timeout(startTimeoutMs);
  await shared.stop();
});

/** Gives a suite the run's control plane; its members may be used from the suite's `before` on. */
export function useControlPlane(): TestControlPlane {
  let running: Running | undefined;
  before(async function () {
    this.timeout(startTimeoutMs);
    running = await shared.get();
  });
  const started = (): Running => {
    if (running === undefined) throw new Error('the control plane is there from the suite’s before hooks on');
    return running;
  };
  return {
    get controlPlane() {
      return started().controlPlane;
    },
    get client() {
      return started().client;
    },
    get dir() {
      return started().controlPlane.dir;
    },
    clusterConfig: async (kind) => {
      const { kubeconfigs } = started().controlPlane;
      return await loadClusterConfig(kind === 'node' ? kubeconfigs.nodeClient : kubeconfigs[kind]);
    },
    kubectl: async (args, options) => await started().controlPlane.kubectl(args, options),
    servingCerts: async () => {
      const { nodeServer, ca } = started().controlPlane.pki;
      const read = async (path: string) => await readFile(path, 'utf8');
      return { cert: await read(nodeServer.cert), key: await read(nodeServer.key), clientCa: await read(ca.cert) };
    },
  };
}

/**
 * Gives a suite a namespace of its own in which Pods may be created. Call it after {@link useControlPlane}. At its end
 * its Pods are deleted by force, so that no later node finds them.
 */
export function useNamespace(plane: TestControlPlane): { readonly name: string } {
  let name: string | undefined;
  before(async () => {
    const created = await plane.client.request<{ metadata: { name: string } }>({
      method: 'POST',
      path: '/api/v1/namespaces',
      body: { apiVersion: 'v1', kind: 'Namespace', metadata: { generateName: 'test-' } },
    });
    name = created.metadata.name;
    const path = `/api/v1/namespaces/${name}/serviceaccounts/default`;
    await until('the namespace to have its service account', async () => await exists(plane.client, path));
  });
  after(async () => {
    if (name === undefined) return;
    const path = `/api/v1/namespaces/${name}`;
    await plane.client.request({ method: 'DELETE', path: `${path}/pods`, query: { gracePeriodSeconds: '0' } });
    await plane.client.request({ method: 'DELETE', path });
  });
  return {
    get name() {
      if (name === undefined) throw new Error('the namespace is there from the suite’s before hooks on');
      return name;
    },
  };
}

async function exists(client: KubeClient, path: string): Promise<boolean> {
  try {
    await client.request({ path });
    return true;
  } catch (error) {
    if (hasReason(error, 'NotFound')) return false;
    throw error;
  }
}
