import type { Cluster } from '../cluster/cluster.ts';
import type { Benchmark, Contest, Reading, Side, Size } from './harness/benchmark.ts';
import { type Front, Fronts, requestOf } from './harness/fronts.ts';
import type { LoadGenerator } from './harness/load-generator.ts';
import { percentile } from './harness/statistics.ts';
import { streamPath, streamRestMs } from './upstream/routes.ts';

/** Streams a round. */
const streamsOf: Record<Size, number> = { full: 300, tiny: 3 };

export const streams: Benchmark = {
  name: 'streams',
  how:
    'an event stream from its request to its first event, over a kept connection, one after the other; it ends ' +
    `${streamRestMs} ms after that, so that an answer held back until its end shows; "added" is what a front costs beside ` +
    'the program without one in the same round',
  open,
};

async function open(cluster: Cluster, size: Size): Promise<Contest> {
  const fronts = await Fronts.open(cluster);
  const { direct, proxy, load } = fronts;
  const side = (front: Front): Side => ({
    name: front.name,
    round: () => measure({ front, direct }, load, streamsOf[size]),
  });
  const nginx = await fronts.nginx?.start();
  return { reference: side(nginx ?? direct), subjects: [side(proxy)], close: () => fronts.close() };
}

async function measure(
  { front, direct }: { front: Front; direct: Front },
  load: LoadGenerator,
  requests: number,
): Promise<Reading[]> {
  const withFront = await firstEvents(front, load, requests);
  const without = await firstEvents(direct, load, requests);
  return [50, 99].flatMap((percent): Reading[] => {
    const value = percentile(withFront, percent);
    const added = value - percentile(without, percent);
    return [
      { measure: `first event, p${percent}`, unit: 'ms', value },
      { measure: `first event, p${percent}, added`, unit: 'ms', value: added },
    ];
  });
}

async function firstEvents(front: Front, load: LoadGenerator, requests: number): Promise<number[]> {
  const call = { request: requestOf(front, 'GET', streamPath, ['Cache-Control: no-cache']), expected: { status: 200 } };
  // Connects if need be, and renews the verdicts that a front keeps for seconds.
  await load.run('firstBytes', { ...front.target, ...call, requests: 2 });
  return await load.run('firstBytes', { ...front.target, ...call, requests });
}
