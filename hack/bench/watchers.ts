import { readFile } from 'node:fs/promises';
import { type ClientHttp2Session, connect } from 'node:http2';
import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from '../cluster/cluster.ts';
import type { Benchmark, Contest, Reading, Side, Size } from './harness/benchmark.ts';
import { memoryOf } from './harness/memory.ts';
import { Workplace } from './harness/workplace.ts';

const watchers: Record<Size, number> = { full: 5000, tiny: 5 };
/** kube-apiserver has few connections to an API server behind it, with many streams on each. */
const streamsOfOne = 1000;
/** Opened and closed first, so that what a process loads and compiles once is not counted with them. */
const warmUps = 200;
/** Lets what is only needed to open streams be given back. */
const restMs: Record<Size, number> = { full: 2000, tiny: 0 };

export const idleWatchers: Benchmark = {
  name: 'watchers',
  how:
    'idle watches of all sessions on HTTP/2 connections, opened as kube-apiserver opens them: what all together add to ' +
    'the memory in RAM of an API server that was started for them',
  open,
};

async function open(cluster: Cluster, size: Size): Promise<Contest> {
  const workplace = await Workplace.create(cluster.client);
  await workplace.createSession('watched', 'none');
  await workplace.readySession('watched');
  let replicas = 0;
  const side: Side = {
    name: 'sojourn-apiserver',
    round: async () => {
      replicas += 1;
      const { process, port } = await cluster.sojourn.startApiserverReplica(`bench-apiserver-${replicas}`);
      try {
        return await measure(cluster, { pid: process.pid, port, path: workplace.sessions }, size);
      } finally {
        await process.stop();
      }
    },
  };
  return { reference: unmeasured, subjects: [side], close: () => workplace.remove() };
}

/** kube-apiserver itself cannot be started for one round. */
const unmeasured: Side = { name: 'nothing', round: async () => [] };

interface Server {
  pid: number;
  port: number;
  path: string;
}

async function measure(cluster: Cluster, { pid, port, path }: Server, size: Size): Promise<Reading[]> {
  const { pki } = cluster.plane;
  const identity = {
    ca: await readFile(cluster.caFile),
    cert: await readFile(pki.frontProxyClient.cert),
    key: await readFile(pki.frontProxyClient.key),
  };
  const count = watchers[size];
  const connections = Array.from({ length: Math.ceil(count / streamsOfOne) }, () =>
    connect(`https://localhost:${port}`, identity),
  );
  try {
    await openWatches(connections, { path, count: Math.min(count, warmUps), keep: 'none' });
    await delay(restMs[size]);
    const { now: before } = await memoryOf(pid);
    await openWatches(connections, { path, count, keep: 'all' });
    await delay(restMs[size]);
    const { now: after } = await memoryOf(pid);
    return [{ measure: `memory of ${count}`, unit: 'MB', value: (after - before) / 1e6 }];
  } finally {
    for (const connection of connections) connection.destroy();
  }
}

async function openWatches(
  connections: readonly ClientHttp2Session[],
  { path, count, keep }: { path: string; count: number; keep: 'all' | 'none' },
): Promise<void> {
  const watch = (connection: ClientHttp2Session) =>
    new Promise<void>((resolve, reject) => {
      const stream = connection.request({
        ':path': `${path}?watch=true&allowWatchBookmarks=true&resourceVersion=0`,
        'x-remote-user': 'watcher',
        'x-remote-group': 'system:masters',
        accept: 'application/json',
      });
      stream.on('response', ({ ':status': status }) => {
        if (status !== 200) reject(new Error(`a watch was answered with ${status}`));
      });
      // The session there is comes first; after it nothing.
      stream.once('data', () => {
        if (keep === 'none') stream.close();
        resolve();
      });
      stream.on('error', reject);
    });
  for (let opened = 0; opened < count; opened += connections.length) {
    const some = connections.slice(0, count - opened);
    await Promise.all(some.map(watch));
  }
}
