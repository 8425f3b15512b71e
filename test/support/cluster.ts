import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadClusterConfig } from '../../apis/client/kubeconfig.ts';
import { KubeClient } from '../../apis/client/transport.ts';
import { type Cluster, startSojourn } from '../../hack/cluster/cluster.ts';
import type { KubectlOptions, KubectlResult } from '../../hack/cluster/kubectl.ts';
import { createRuntime } from '../../hack/cluster/runtimes.ts';
import { shared, type TestControlPlane, useControlPlane } from './control-plane.ts';
import { until } from './until.ts';

const startTimeoutMs = 120_000;

/** A whole cluster with Sojourn in it, shared by all suites of a run. */
export interface TestCluster {
  readonly cluster: Cluster;
  /** The admin's client. */
  readonly client: KubeClient;
  /** CA of every server, PEM. */
  readonly ca: string;
  kubectl(args: string[], options?: KubectlOptions): Promise<KubectlResult>;
  /** kubectl as one of the two people of deploy/overlays/local. */
  kubectlAs(person: 'alice' | 'bob', args: string[], options?: KubectlOptions): Promise<KubectlResult>;
  /** A client with the account of one of Sojourn's own processes. */
  asAccount(account: 'sojourn-apiserver' | 'sojourn-proxy'): KubeClient;
  /** A namespace for one suite, made before it: with runtime `none` (no process) and `py` (our daemon). */
  namespace(prefix: string): { readonly name: string };
  createNamespace(prefix: string): Promise<{ name: string }>;
  /** Kills one of Sojourn's processes with SIGKILL and waits for its end. */
  kill(name: 'sojourn-apiserver' | 'sojourn-proxy'): Promise<void>;
}

interface Running {
  cluster: Cluster;
  ca: string;
  accounts: Record<'sojourn-apiserver' | 'sojourn-proxy', KubeClient>;
}

/** Sojourn is started once, on the control plane that all suites share. */
class SharedCluster {
  #starting: Promise<Running> | undefined;

  async get(plane: TestControlPlane): Promise<Running> {
    this.#starting ??= this.#start(plane);
    return await this.#starting;
  }

  async #start(plane: TestControlPlane): Promise<Running> {
    const lines: string[] = [];
    try {
      const cluster = await startSojourn(plane.controlPlane, { report: (line) => lines.push(line) });
      const account = async (name: string) =>
        new KubeClient(await loadClusterConfig(join(plane.dir, 'components', `${name}.kubeconfig`)));
      const accounts = {
        'sojourn-apiserver': await account('sojourn-apiserver'),
        'sojourn-proxy': await account('sojourn-proxy'),
      };
      shared.stopBefore(async () => {
        await Promise.all(Object.values(accounts).map((client) => client.close()));
        await cluster.stop();
      });
      return { cluster, ca: await readFile(cluster.caFile, 'utf8'), accounts };
    } catch (error) {
      throw new Error(`Sojourn did not start; it said:\n${lines.join('\n')}`, { cause: error });
    }
  }
}

const sharedCluster = new SharedCluster();

/**
 * Gives a suite the run's cluster; its members may be used from the suite's before hooks on. Call it inside of the suite:
 * outside, its hooks would be those of the whole run.
 */
export function useCluster(): TestCluster {
  const plane = useControlPlane();
  let running: Running | undefined;
  before(async function () {
    this.timeout(startTimeoutMs);
    running = await sharedCluster.get(plane);
  });
  const started = (): Running => {
    if (running === undefined) throw new Error('the cluster is there from the before hooks on');
    return running;
  };
  const env: TestCluster = {
    get cluster() {
      return started().cluster;
    },
    get client() {
      return started().cluster.client;
    },
    get ca() {
      return started().ca;
    },
    kubectl: (args, options) => started().cluster.plane.kubectl(args, options),
    kubectlAs: (person, args, options) =>
      started().cluster.plane.kubectl(args, { ...options, kubeconfig: started().cluster.plane.kubeconfigs[person] }),
    asAccount: (account) => started().accounts[account],
    createNamespace: (prefix) => createNamespace(started().cluster.client, prefix),
    kill: async (name) => {
      const victim = started().cluster.plane.processes.find((candidate) => candidate.name === name);
      if (victim === undefined) throw new Error(`${name} does not run`);
      shared.doomed.add(victim.pid);
      process.kill(victim.pid, 'SIGKILL');
      await victim.exited;
    },
    namespace: (prefix) => {
      let name: string | undefined;
      before(async () => {
        ({ name } = await createNamespace(env.client, prefix));
      });
      after(async () => {
        if (name !== undefined) await env.client.request({ method: 'DELETE', path: `/api/v1/namespaces/${name}` });
      });
      return {
        get name() {
          if (name === undefined) throw new Error('the namespace is there from the before hooks on');
          return name;
        },
      };
    },
  };
  return env;
}

async function createNamespace(client: KubeClient, prefix: string): Promise<{ name: string }> {
  const { metadata } = await client.request<{ metadata: { name: string } }>({
    method: 'POST',
    path: '/api/v1/namespaces',
    body: { apiVersion: 'v1', kind: 'Namespace', metadata: { generateName: `${prefix}-` } },
  });
  const { name } = metadata;
  const runtimes = { none: 'local/none', py: 'ghcr.io/sojourn-dev/sojourn-daemon:test' };
  for (const [runtime, image] of Object.entries(runtimes)) {
    await createRuntime(client, name, { name: runtime, spec: { authMode: 'sojourn', template: { image } } });
  }
  const account = `/api/v1/namespaces/${name}/serviceaccounts/default`;
  await until(
    'the namespace to have its service account',
    async () => (await client.requestRaw({ path: account })).status === 200,
  );
  return { name };
}
