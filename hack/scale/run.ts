import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { KubeList } from '../../apis/machinery/meta.ts';
import { groupVersion, resource } from '../../apis/names.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { type Cluster, startCluster } from '../cluster/cluster.ts';
import { createRuntime } from '../cluster/runtimes.ts';
import type { Reporter } from '../kube/progress.ts';

const namespace = 'scale';
/** Creates at once. */
const creators = 16;
/** All sessions end after so much for each, and this. */
const msEach = 30;
const pauseMs = 60_000;

export interface ScaleOptions extends Reporter {
  sessions: number;
  signal: AbortSignal;
}

/**
 * Fills a local cluster of its own with sessions without processes, all of which end in the same second, and prints what that
 * costs Sojourn's two processes.
 */
export async function runScale(options: ScaleOptions): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'sojourn-scale-'));
  const onExit = ({ name, logTail }: { name: string; logTail: string }) =>
    options.report(`${name} ended by itself:\n${logTail}`);
  try {
    const cluster = await startCluster({ ...options, dir, onExit });
    try {
      await measure(cluster, options);
    } finally {
      await cluster.stop();
    }
  } finally {
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function measure(cluster: Cluster, { sessions, report, signal }: ScaleOptions): Promise<void> {
  const { client } = cluster;
  await client.request({ method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name: namespace } } });
  const template = { image: 'local/none' };
  await createRuntime(client, namespace, { name: 'none', spec: { authMode: 'none', template } });
  const processes = bothProcesses(cluster);
  const path = `/apis/${groupVersion}/namespaces/${namespace}/${resource}`;
  report(`  without sessions: ${await usage(processes)}`);
  const begun = Date.now();
  const endAt = begun + sessions * msEach + pauseMs;
  await createAll(cluster, { path, sessions, endAt, signal });
  report(`  ${sessions} sessions created in ${((Date.now() - begun) / 1000).toFixed(0)} s: ${await usage(processes)}`);
  for (const [what, query] of [
    ['whole, at resourceVersion "0"', { resourceVersion: '0' }],
    ['whole, at ""', {}],
    ['a page of 500', { limit: '500' }],
  ] as const) {
    const asked = performance.now();
    const { items } = await client.request<KubeList<Session>>({ path, query });
    report(`  list, ${what}: ${items.length} in ${(performance.now() - asked).toFixed(0)} ms`);
  }
  report(`  ${await startAnother(cluster)}`);
  await delay(Math.max(0, endAt - Date.now()), undefined, { signal });
  report(`  all of them end now: ${await usage(processes)}`);
  for (;;) {
    const { items } = await client.request<KubeList<Session>>({ path, query: { resourceVersion: '0' } });
    const sinceMs = Date.now() - endAt;
    if (items.length === 0) {
      report(`  all gone ${(sinceMs / 1000).toFixed(1)} s after their end: ${await usage(processes)}`);
      return;
    }
    await delay(500, undefined, { signal });
  }
}

interface Creation {
  path: string;
  sessions: number;
  endAt: number;
  signal: AbortSignal;
}

async function createAll({ client }: Cluster, { path, sessions, endAt, signal }: Creation): Promise<void> {
  let left = sessions;
  const creator = async () => {
    while (left > 0) {
      signal.throwIfAborted();
      left -= 1;
      // A quarter more, the interval in which activity is written, is added to it: see apis/v1alpha1/deadline.ts.
      const idleMs = Math.max(5_000, (endAt - Date.now()) / 1.25);
      const spec = { runtimeRef: { kind: 'CodeInterpreter', name: 'none' }, idleTimeout: `${Math.round(idleMs)}ms` };
      await client.request({
        method: 'POST',
        path,
        body: { apiVersion: 'sojourn.dev/v1alpha1', kind: 'Session', metadata: { generateName: 's-' }, spec },
      });
    }
  };
  await Promise.all(Array.from({ length: creators }, creator));
}

interface Measured {
  name: string;
  pid: number | undefined;
  operationsPort: number;
}

function bothProcesses({ plane, sojourn }: Cluster): Measured[] {
  const { sojournApiserverOperations, sojournProxyOperations } = sojourn.ports;
  const pidOf = (name: string) => plane.processes.find((candidate) => candidate.name === name)?.pid;
  return [
    { name: 'sojourn-apiserver', pid: pidOf('sojourn-apiserver'), operationsPort: sojournApiserverOperations },
    { name: 'sojourn-proxy', pid: pidOf('sojourn-proxy'), operationsPort: sojournProxyOperations },
  ];
}

/** Memory of processes, and the longest that their event loops stood still since the last look. */
async function usage(processes: readonly Measured[]): Promise<string> {
  const texts = await Promise.all(
    processes.map(async ({ name, pid, operationsPort }) => {
      const status = await readFile(`/proc/${pid}/status`, 'utf8');
      const rssMb = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
      const metrics = await (await fetch(`http://127.0.0.1:${operationsPort}/metrics`)).text();
      const lagMs = Number(/^nodejs_eventloop_lag_max_seconds (\S+)$/m.exec(metrics)?.[1]) * 1000;
      return `${name} ${rssMb.toFixed(0)} MB, longest delay ${lagMs.toFixed(0)} ms`;
    }),
  );
  return texts.join('; ');
}

/** One more API server, which lists all sessions before it is ready. */
async function startAnother({ sojourn, plane }: Cluster): Promise<string> {
  const name = 'another sojourn-apiserver';
  const report = join(plane.dir, 'longest-turn');
  const preload = new URL('longest-turn.ts', import.meta.url);
  preload.searchParams.set('report', report);
  const begun = performance.now();
  const { process, operationsPort } = await sojourn.startApiserverReplica(
    name.replace(' ', '-'),
    [],
    ['--import', preload.href],
  );
  const tookMs = performance.now() - begun;
  const used = await usage([{ name, pid: process.pid, operationsPort }]);
  await process.stop();
  const workedMs = Number(await readFile(report, 'utf8'));
  return `${used}; ready after ${tookMs.toFixed(0)} ms, no turn of it worked longer than ${workedMs.toFixed(0)} ms`;
}
