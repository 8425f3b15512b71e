import type { Cluster } from '../cluster/cluster.ts';
import type { Benchmark, Contest, Reading, Side, Size } from './harness/benchmark.ts';
import { cpuTimeUs } from './harness/cpu-time.ts';
import { type Front, Fronts, requestOf } from './harness/fronts.ts';
import type { LoadGenerator } from './harness/load-generator.ts';
import { forgetPeak, memoryOf } from './harness/memory.ts';
import type { Transfers } from './load/operations.ts';
import { bulkBytes, bulkPath } from './upstream/routes.ts';

interface Load {
  /** Transfers at once. */
  connections: number;
  /** One after the other, on each connection. */
  times: number;
}

const loads: Record<Size, Load[]> = {
  full: [
    { connections: 1, times: 6 },
    { connections: 8, times: 1 },
  ],
  tiny: [{ connections: 1, times: 1 }],
};
const mega = 1e6;

export const bodies: Benchmark = {
  name: 'bodies',
  how:
    `bodies of ${bulkBytes / 1024 / 1024} MiB to the program and from it, one after the other and several at once, ` +
    'through fronts that pass on at once what they have; of MB/s a higher ratio is the better one; memory is the most ' +
    'that the process had in RAM meanwhile; CPU of 100 MB',
  open,
};

async function open(cluster: Cluster, size: Size): Promise<Contest> {
  const fronts = await Fronts.open(cluster);
  const side = (front: Front): Side => ({ name: front.name, round: () => measure(front, fronts.load, loads[size]) });
  const nginx = await fronts.nginx?.start();
  return {
    reference: side(nginx ?? fronts.direct),
    subjects: [side(fronts.proxy)],
    close: () => fronts.close(),
  };
}

async function measure(front: Front, generator: LoadGenerator, given: readonly Load[]): Promise<Reading[]> {
  const ways: Record<string, Pick<Transfers, 'request' | 'upload' | 'expected'>> = {
    up: {
      request: requestOf(front, 'POST', bulkPath, [`Content-Length: ${bulkBytes}`]),
      upload: bulkBytes,
      expected: { status: 200, body: String(bulkBytes) },
    },
    down: {
      request: requestOf(front, 'GET', bulkPath),
      upload: 0,
      expected: { status: 200, bytes: bulkBytes },
    },
  };
  const readings: Reading[] = [];
  for (const load of given) {
    for (const [way, transfers] of Object.entries(ways)) {
      const what = `${way}, ${load.connections} at once`;
      const megabytes = (load.connections * load.times * bulkBytes) / mega;
      const before = await begin(front);
      const tookMs = await generator.run('transfers', { ...front.target, ...load, ...transfers });
      readings.push({ measure: `${what}, rate`, unit: 'MB/s', value: megabytes / (tookMs / 1000) });
      if (front.pid === undefined || before === undefined) continue;
      const cpuMs = ((await cpuTimeUs(front.pid)) ?? Number.NaN) / 1000 - before.cpuMs;
      readings.push({ measure: `${what}, CPU of 100 MB`, unit: 'ms', value: (cpuMs / megabytes) * 100 });
      const { peak } = await memoryOf(front.pid);
      readings.push({ measure: `${what}, memory`, unit: 'MB', value: peak / mega });
    }
  }
  return readings;
}

async function begin({ pid }: Front): Promise<{ cpuMs: number } | undefined> {
  if (pid === undefined) return undefined;
  await forgetPeak(pid);
  return { cpuMs: ((await cpuTimeUs(pid)) ?? Number.NaN) / 1000 };
}
