import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cluster, startCluster } from '../cluster/cluster.ts';
import { ensureBinaries } from '../kube/binaries.ts';
import type { Reporter } from '../kube/progress.ts';
import { apiWrites } from './api-writes.ts';
import { bodies } from './bodies.ts';
import { coldStart } from './cold-start.ts';
import type { Benchmark } from './harness/benchmark.ts';
import { runContest } from './harness/comparison.ts';
import { tableFoot, tableHead, tableSection } from './harness/table.ts';
import { invocation } from './invocation.ts';
import { reads } from './reads.ts';
import { streams } from './streams.ts';
import { warmStart } from './warm-start.ts';
import { watchEvent } from './watch-event.ts';
import { idleWatchers } from './watchers.ts';
import { websockets } from './websockets.ts';
import { writes } from './writes.ts';

export const benchmarks: readonly Benchmark[] = [
  invocation,
  bodies,
  streams,
  websockets,
  watchEvent,
  coldStart,
  warmStart,
  apiWrites,
  reads,
  writes,
  idleWatchers,
];

const rounds = 5;
/** The longest that a run may take once the Kubernetes binaries are there. */
const limitMs = 1_200_000;

export interface BenchOptions extends Reporter {
  /** Parts of names; all benchmarks when there are none. */
  patterns: readonly string[];
  /** Where the table goes; everything else is reported. */
  print: (text: string) => void;
  /** Ends the run early. */
  signal: AbortSignal;
}

/**
 * `npm run bench [PATTERN...]`: runs benchmarks on a local cluster of their own, in a folder that is gone afterwards, and
 * prints how they compare. Slow is never wrong: only errors and wrong answers are.
 * @returns the exit code: 0, 1 when something broke, 2 when no benchmark has such a name.
 */
export async function bench(options: BenchOptions): Promise<number> {
  const { patterns, report } = options;
  const names = new Set(benchmarks.map(({ name }) => name));
  // A whole name means that one alone: "writes" is part of another.
  const isMeant = (name: string, part: string) => (names.has(part) ? name === part : name.includes(part));
  const chosen = benchmarks.filter(({ name }) => patterns.length === 0 || patterns.some((part) => isMeant(name, part)));
  if (chosen.length === 0) {
    report(`no benchmark matches; there are ${benchmarks.map(({ name }) => name).join(', ')}`);
    return 2;
  }
  await ensureBinaries(options);
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(limitMs)]);
  report(
    `Starting a local cluster for ${chosen.map(({ name }) => name).join(', ')}; all of them take about ten minutes.`,
  );
  return await withCluster({ ...options, signal }, (cluster) => compareAll(chosen, cluster, { ...options, signal }));
}

async function withCluster(options: BenchOptions, run: (cluster: Cluster) => Promise<number>): Promise<number> {
  const { report, signal } = options;
  const dir = await mkdtemp(join(tmpdir(), 'sojourn-bench-'));
  let lost = 0;
  const onExit = ({ name, logTail }: { name: string; logTail: string }) => {
    lost += 1;
    report(`${name} ended by itself:\n${logTail}`);
  };
  try {
    const cluster = await startCluster({ ...options, signal, dir, onExit, auditLog: true });
    try {
      const code = await run(cluster);
      return lost > 0 ? 1 : code;
    } finally {
      await cluster.stop();
    }
  } finally {
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function compareAll(chosen: readonly Benchmark[], cluster: Cluster, options: BenchOptions): Promise<number> {
  const { print, report, signal } = options;
  let code = 0;
  print(`${availableParallelism()} CPUs, load ${loadavg()[0]?.toFixed(1)}, Node.js ${process.version}\n`);
  print(tableHead());
  for (const benchmark of chosen) {
    signal.throwIfAborted();
    report(`  ${benchmark.name} ...`);
    try {
      print(`${await compare(benchmark, cluster, signal)}\n`);
    } catch (error) {
      signal.throwIfAborted();
      code = 1;
      report(`${benchmark.name} broke: ${error instanceof Error ? error.stack : String(error)}`);
    }
  }
  print(tableFoot(rounds));
  return code;
}

async function compare({ name, how, open }: Benchmark, cluster: Cluster, signal: AbortSignal): Promise<string> {
  const contest = await open(cluster, 'full');
  try {
    const rows = await runContest(contest, { rounds, signal });
    return tableSection({ name, how, beside: contest.reference.name, rows });
  } finally {
    await contest.close();
  }
}
