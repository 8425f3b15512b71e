import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from '../cluster/cluster.ts';
import type { Benchmark, Contest, Reading, Side, Size } from './harness/benchmark.ts';
import { Fronts, requestOf, type StartedFront } from './harness/fronts.ts';
import { memoryOf } from './harness/memory.ts';
import { smallBody, smallPath, socketPath } from './upstream/routes.ts';

/** Connections; of one session there may be no more. */
const connections: Record<Size, number> = { full: 1000, tiny: 5 };
/** Lets what is only needed to open connections be given back. */
const restMs: Record<Size, number> = { full: 500, tiny: 0 };
/** Calls that make a process load and compile what it needs, so that this is not counted with the connections. */
const warmUps = 200;

export const websockets: Benchmark = {
  name: 'websockets',
  how:
    'idle WebSocket connections over TLS: what they add to the memory in RAM of a process that was started for them, ' +
    'for each connection',
  open,
};

async function open(cluster: Cluster, size: Size): Promise<Contest> {
  const fronts = await Fronts.open(cluster);
  const side = (name: string, start: () => Promise<StartedFront>): Side => ({
    name,
    round: async () => {
      const front = await start();
      const readings = await measure(front, fronts, size);
      await front.stop();
      return readings;
    },
  });
  const { nginx, proxy } = fronts;
  return {
    reference: nginx === undefined ? unmeasured : side(nginx.name, nginx.start),
    subjects: [side(proxy.name, () => fronts.startProxy())],
    close: () => fronts.close(),
  };
}

/** Stands where nothing can be compared. */
const unmeasured: Side = { name: 'nothing (nginx is not installed)', round: async () => [] };

async function measure(front: StartedFront, { load }: Fronts, size: Size): Promise<Reading[]> {
  const { pid, target } = front;
  const call = { request: requestOf(front, 'GET', smallPath), expected: { status: 200, body: smallBody } };
  await load.run('calls', { ...target, ...call, connections: 1, requests: warmUps });
  const { now: before } = await memoryOf(pid);
  await load.run('enter', {
    ...target,
    connections: connections[size],
    request: requestOf(front, 'GET', socketPath, [
      ...['Connection: Upgrade', 'Upgrade: websocket'],
      ...['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='],
    ]),
    expected: { status: 101 },
  });
  await delay(restMs[size]);
  const { now: after } = await memoryOf(pid);
  await load.run('leave', target);
  const count = connections[size];
  return [{ measure: `memory of one of ${count}`, unit: 'kB', value: (after - before) / count / 1000 }];
}
