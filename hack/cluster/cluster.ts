import { createWriteStream } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadClusterConfig } from '../../apis/client/kubeconfig.ts';
import { KubeClient } from '../../apis/client/transport.ts';
import { createLog } from '../../apis/runtime/log.ts';
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from './control-plane.ts';
import { writeFileAtomically } from './files.ts';
import { localImages } from './node/images.ts';
import { startNode } from './node/node.ts';
import { programCommand } from './programs.ts';
import { applyRelease, registerApiService, renderRelease } from './release.ts';
import { SojournProcesses } from './sojourn.ts';

type StepOptions = Pick<ControlPlaneOptions, 'report' | 'signal'>;

/** A whole local cluster with Sojourn in it. */
export interface Cluster {
  plane: ControlPlane;
  sojourn: SojournProcesses;
  /** The admin's client. */
  client: KubeClient;
  /** CA of every server of this cluster, PEM file. */
  caFile: string;
  /** Direct address of the aggregated API server, without the aggregator. */
  apiserverUrl: string;
  proxyUrl: string;
  stop(): Promise<void>;
}

/** Starts everything: control plane, node, the release of deploy/overlays/local, the API server and the proxy. */
export async function startCluster(options: ControlPlaneOptions): Promise<Cluster> {
  const plane = await startControlPlane(options);
  try {
    return await startSojourn(plane, options);
  } catch (error) {
    await plane.stop();
    throw error;
  }
}

/**
 * Adds Sojourn and a node to a running control plane. Stopping the cluster stops the control plane too.
 * Rejects with a SetupError, and then has stopped what it started but the control plane's own.
 */
export async function startSojourn(plane: ControlPlane, options: StepOptions): Promise<Cluster> {
  const stops: (() => Promise<void> | void)[] = [];
  const stop = async () => {
    for (const part of stops.splice(0).reverse()) await part();
  };
  try {
    return await start(plane, options, { stops, stop });
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(
  plane: ControlPlane,
  options: StepOptions,
  { stops, stop }: { stops: (() => Promise<void> | void)[]; stop: () => Promise<void> },
): Promise<Cluster> {
  const client = new KubeClient(await loadClusterConfig(plane.kubeconfigs.admin));
  stops.push(() => client.close());
  const timed = stepTimer(options);
  await timed('node', async () => {
    const node = await startLocalNode(plane);
    stops.push(() => node.stop());
  });
  const reportError = (error: unknown) => options.report(`  an account's token could not be renewed: ${String(error)}`);
  const sojourn = await SojournProcesses.prepare(plane, client, reportError);
  stops.push(() => sojourn.stop());
  const release = await renderRelease(plane, sojourn.ports.sojournApiserver);
  await timed('deploy/overlays/local', () => applyRelease(plane, release.prerequisites));
  const apiserver = timed('sojourn-apiserver', async () => {
    await sojourn.startApiserver();
    await registerApiService(plane, release.apiService);
  });
  const proxy = timed('sojourn-proxy', async () => {
    await sojourn.startProxy();
  });
  // Both must have come to an end before a failure of one makes us stop what was started.
  await Promise.allSettled([apiserver, proxy]);
  await Promise.all([apiserver, proxy]);
  const cluster: Cluster = {
    plane,
    sojourn,
    client,
    caFile: plane.pki.ca.cert,
    apiserverUrl: `https://127.0.0.1:${sojourn.ports.sojournApiserver}`,
    proxyUrl: `https://127.0.0.1:${sojourn.ports.sojournProxy}`,
    stop: async () => {
      await stop();
      await plane.stop();
    },
  };
  await writeEnvironment(cluster);
  return cluster;
}

async function startLocalNode(plane: ControlPlane): ReturnType<typeof startNode> {
  const { nodeServer, ca } = plane.pki;
  const [cert, key, clientCa] = await Promise.all(
    [nodeServer.cert, nodeServer.key, ca.cert].map((file) => readFile(file, 'utf8')),
  );
  const logDir = join(plane.dir, 'logs');
  await mkdir(logDir, { recursive: true, mode: 0o700 });
  const nodeLog = createWriteStream(join(logDir, 'node.log'), { flags: 'a', mode: 0o600 });
  return await startNode({
    cluster: await loadClusterConfig(plane.kubeconfigs.nodeClient),
    dir: join(plane.dir, 'node'),
    serving: { cert: cert ?? '', key: key ?? '', clientCa: clientCa ?? '' },
    images: localImages({ daemon: programCommand('daemon') }),
    log: createLog({ fields: { component: 'node' }, write: (line) => nodeLog.write(line) }),
  });
}

/** What a shell sources to use the cluster: its own kubectl first, so that versions fit. */
async function writeEnvironment({ plane, proxyUrl, caFile }: Cluster): Promise<void> {
  const { kubectl } = plane.binaries;
  const bin = join(plane.dir, 'bin');
  const command = [kubectl.file, ...kubectl.args].map(quote).join(' ');
  await writeFileAtomically(join(bin, 'kubectl'), `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o700 });
  const lines = [
    `export KUBECONFIG=${quote(plane.kubeconfigs.admin)}`,
    `export SOJOURN_PROXY_URL=${quote(proxyUrl)}`,
    `export SOJOURN_CA=${quote(caFile)}`,
    // AgentCube's clients read these.
    `export ROUTER_URL=${quote(proxyUrl)}`,
    `export WORKLOAD_MANAGER_URL=${quote(proxyUrl)}`,
    `export PATH=${quote(bin)}:"$PATH"`,
  ];
  await writeFileAtomically(join(plane.dir, 'env'), `${lines.join('\n')}\n`);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function stepTimer(options: StepOptions): (what: string, step: () => Promise<void>) => Promise<void> {
  return async (what, step) => {
    options.signal?.throwIfAborted();
    const started = performance.now();
    await step();
    options.report(`  ${what.padEnd(26)}${((performance.now() - started) / 1000).toFixed(1)} s`);
  };
}
