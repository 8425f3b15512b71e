import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { KubeList } from '../../apis/machinery/meta.ts';
import { daemonImage, sandboxApi } from '../../apis/names.ts';
import { createLog } from '../../apis/runtime/log.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import { type Cluster, startCluster } from '../cluster/cluster.ts';
import { Relay } from '../cluster/relay.ts';
import { createRuntime } from '../cluster/runtimes.ts';
import type { Reporter } from '../kube/progress.ts';
import { audit } from './audit.ts';
import { chooseFault } from './faults.ts';
import { Ledger } from './ledger.ts';
import { Observer } from './observer.ts';
import { Workload } from './workload.ts';

const namespace = 'faults';
const users = 6;
/** After the last fault: every flush, deadline and retry that is under way comes to its end. */
const settleMs = 30_000;
const secondProxy = 'sojourn-proxy-b';

export interface FaultRunOptions extends Reporter {
  faults: number;
  signal: AbortSignal;
}

/**
 * Lets users work on a local cluster of its own while it is disturbed, then holds what is left against what they were told.
 * @returns every promise that was broken; none is as it should be.
 */
export async function runFaults(options: FaultRunOptions): Promise<string[]> {
  const dir = await mkdtemp(join(tmpdir(), 'sojourn-faults-'));
  const lost: string[] = [];
  const onExit = ({ name, logTail }: { name: string; logTail: string }) => {
    lost.push(`${name} ended by itself: ${logTail}`);
  };
  try {
    const cluster = await startCluster({ ...options, dir, onExit });
    try {
      return [...(await disturb(cluster, options)), ...lost];
    } finally {
      await cluster.stop();
    }
  } finally {
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function disturb(cluster: Cluster, { faults, report, signal }: FaultRunOptions): Promise<string[]> {
  const { client, plane, sojourn } = cluster;
  const token = await prepare(cluster);
  const relay = await Relay.open(plane.ports.kubeApiserver);
  const observer = new Observer(client, namespace, createLog({ level: 'error', write: () => undefined }));
  const ledger = new Ledger();
  try {
    await startSecondProxy(cluster, relay);
    await observer.start();
    const second = plane.processes.find(({ name }) => name === secondProxy);
    const port = second?.spec.args[second.spec.args.indexOf('--listen-port') + 1];
    const workload = new Workload({
      ...{ client, namespace, token, ledger },
      runtimes: [
        { name: 'cold', callable: false, most: 40 },
        { name: 'warm', callable: false, most: 40 },
        { name: 'box', callable: true, most: 8 },
      ],
      proxies: [`https://127.0.0.1:${sojourn.ports.sojournProxy}`, `https://127.0.0.1:${port}`],
      ca: await readFile(cluster.caFile, 'utf8'),
    });
    workload.start(users);
    const counts = new Map<string, number>();
    for (let done = 0; done < faults; done += 1) {
      signal.throwIfAborted();
      const fault = chooseFault();
      await fault.inflict({ cluster, namespace, relay });
      counts.set(fault.name, (counts.get(fault.name) ?? 0) + 1);
      if ((done + 1) % 10 === 0) report(`  ${done + 1} of ${faults} faults; ${ledger.all.length} sessions so far`);
      await delay(Math.random() * 500, undefined, { signal });
    }
    await workload.stop();
    for (const [name, count] of counts) report(`  ${String(count).padStart(4)}  ${name}`);
    report(
      `  ${ledger.all.length} sessions and ${workload.calls} calls were acknowledged; waiting for the dust to settle`,
    );
    await delay(settleMs, undefined, { signal });
    const path = `${sandboxApi.path}/namespaces/${namespace}/${sandboxApi.resource}`;
    const { items } = await client.request<KubeList<Sandbox>>({ path });
    return audit({ ledger, sandboxes: items, departures: observer.departures, now: Date.now() });
  } finally {
    await observer.stop();
    await relay.stop();
  }
}

/** A proxy whose way to kube-apiserver can be cut. */
async function startSecondProxy({ plane, sojourn }: Cluster, relay: Relay): Promise<void> {
  const own = await readFile(join(plane.dir, 'components', 'sojourn-proxy.kubeconfig'), 'utf8');
  const kubeconfig = join(plane.dir, 'components', 'relayed.kubeconfig');
  await writeFile(kubeconfig, own.replaceAll(plane.server, `https://127.0.0.1:${relay.port}`), { mode: 0o600 });
  await sojourn.startProxyReplica(secondProxy, ['--kubeconfig', kubeconfig]);
}

/** Namespace, runtimes and an account that may use them; answers its token. */
async function prepare({ client, plane }: Cluster): Promise<string> {
  await client.request({ method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name: namespace } } });
  const runtimes = [
    { name: 'cold', image: 'local/none' },
    { name: 'warm', image: 'local/none', warmPoolSize: 10 },
    { name: 'box', image: `${daemonImage}:local` },
  ];
  for (const { name, image, ...pool } of runtimes) {
    await createRuntime(client, namespace, { name, spec: { authMode: 'sojourn', template: { image }, ...pool } });
  }
  const mustSucceed = async (args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await plane.kubectl([...args, '-n', namespace]);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')} failed: ${stderr}`);
    return stdout.trim();
  };
  await mustSucceed(['create', 'serviceaccount', 'user']);
  const role = ['--clusterrole=sojourn-session-user', `--serviceaccount=${namespace}:user`];
  await mustSucceed(['create', 'rolebinding', 'user', ...role]);
  return await mustSucceed(['create', 'token', 'user', '--duration=2h']);
}
