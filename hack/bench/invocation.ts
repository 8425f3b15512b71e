import type { Cluster } from '../cluster/cluster.ts';
import type { Benchmark, Contest, Reading, Side, Size } from './harness/benchmark.ts';
import { cpuTimeUs } from './harness/cpu-time.ts';
import { type Front, Fronts, requestOf } from './harness/fronts.ts';
import type { LoadGenerator } from './harness/load-generator.ts';
import { percentile } from './harness/statistics.ts';
import { smallBody, smallPath } from './upstream/routes.ts';

interface Load {
  connections: number;
  /** In a round, over all connections. */
  requests: number;
}

/** CPU time is reported under the last one alone: a process that mostly waits spends much of it on waking up. */
const loads: Record<Size, Load[]> = {
  full: [
    { connections: 1, requests: 1_000 },
    { connections: 16, requests: 4_000 },
    { connections: 50, requests: 8_000 },
  ],
  tiny: [{ connections: 2, requests: 10 }],
};
/** Of what is there for comparison. */
const fewer: Record<Size, Load[]> = { full: [{ connections: 50, requests: 2_000 }], tiny: loads.tiny };

export const invocation: Benchmark = {
  name: 'invocation',
  how:
    'GET with an answer of 100 bytes, POST of 100 bytes with the same answer, from and to programs that cost little, ' +
    'over kept connections that each send the next request when they have the last answer; through Sojourn with ' +
    'authentication, authorization, tokens, limits, metrics and audit, through nginx without any; each front alone on ' +
    'one core, everything else on another; CPU is that of the process named',
  open,
};

async function open(cluster: Cluster, size: Size): Promise<Contest> {
  const fronts = await Fronts.open(cluster);
  const { direct, proxy, aggregated, load } = fronts;
  const side = (front: Front, given: readonly Load[]): Side => ({
    name: front.name,
    round: () => measure(front, load, given),
  });
  const nginx = await fronts.nginx?.start();
  const reference =
    nginx ?? ({ ...direct, name: `${direct.name} (nginx, the better one, is not installed)` } satisfies Front);
  return {
    reference: side(reference, loads[size]),
    subjects: [
      side(proxy, loads[size]),
      ...(nginx === undefined ? [] : [side(direct, fewer[size])]),
      side(aggregated, fewer[size]),
    ],
    close: () => fronts.close(),
  };
}

async function measure(front: Front, generator: LoadGenerator, given: readonly Load[]): Promise<Reading[]> {
  const expected = { status: 200, body: smallBody };
  const post = requestOf(front, 'POST', smallPath, ['Content-Type: text/plain', `Content-Length: ${smallBody.length}`]);
  const requests = { GET: requestOf(front, 'GET', smallPath), POST: `${post}${smallBody}` };
  const readings: Reading[] = [];
  for (const load of given) {
    const over = `${load.connections} connection${load.connections === 1 ? '' : 's'}`;
    for (const [name, request] of Object.entries(requests)) {
      const calls = { ...front.target, ...load, request, expected };
      // Connects if need be, and renews the verdicts that a front keeps for seconds.
      await generator.run('calls', { ...calls, requests: 2 * load.connections });
      const before = await cpuOf(front);
      const latencies = await generator.run('calls', calls);
      const after = await cpuOf(front);
      for (const percent of [50, 99]) {
        const measure = `${name}, ${over}, p${percent}`;
        readings.push({ measure, unit: 'ms', value: percentile(latencies, percent) });
      }
      if (before === undefined || after === undefined || load !== given.at(-1)) continue;
      readings.push({ measure: `${name}, ${over}, CPU of one`, unit: 'µs', value: (after - before) / load.requests });
    }
  }
  return readings;
}

async function cpuOf({ pid }: Front): Promise<number | undefined> {
  return pid === undefined ? undefined : await cpuTimeUs(pid);
}
