import { setTimeout as delay } from 'node:timers/promises';
import { patchTypes } from '../../apis/client/transport.ts';
import type { KubeList, KubeObject } from '../../apis/machinery/meta.ts';
import { sandboxApi, sessionSelector } from '../../apis/names.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { answersOk } from '../cluster/probe.ts';
import type { SupervisedProcess } from '../cluster/process.ts';
import type { Relay } from '../cluster/relay.ts';

const readyDeadlineMs = 60_000;

/** What faults are done to. */
export interface Patient {
  cluster: Cluster;
  namespace: string;
  /** The way of one of the proxies to kube-apiserver. */
  relay: Relay;
}

/** One way to disturb a cluster. Resolves when everything that it ended runs again. */
export interface Fault {
  name: string;
  /** How often among a hundred. */
  weight: number;
  inflict: (patient: Patient) => Promise<void>;
}

export const faults: readonly Fault[] = [
  {
    name: 'the API server is killed',
    weight: 22,
    inflict: ({ cluster }) => restart(cluster, 'sojourn-apiserver', 'kill'),
  },
  {
    name: 'the API server is stopped',
    weight: 4,
    inflict: ({ cluster }) => restart(cluster, 'sojourn-apiserver', 'stop'),
  },
  { name: 'the API server hangs', weight: 10, inflict: ({ cluster }) => hang(cluster, 'sojourn-apiserver') },
  { name: 'a proxy is killed', weight: 12, inflict: ({ cluster }) => restart(cluster, 'sojourn-proxy', 'kill') },
  { name: 'a proxy is stopped', weight: 4, inflict: ({ cluster }) => restart(cluster, 'sojourn-proxy', 'stop') },
  { name: 'a proxy hangs', weight: 8, inflict: ({ cluster }) => hang(cluster, 'sojourn-proxy') },
  { name: 'a proxy is cut off from kube-apiserver', weight: 12, inflict: ({ relay }) => cutOff(relay) },
  { name: 'somebody else writes all Sandboxes', weight: 16, inflict: writeAll },
  { name: 'kube-apiserver is killed', weight: 5, inflict: ({ cluster }) => restart(cluster, 'kube-apiserver', 'kill') },
  {
    name: 'the agent-sandbox controller is killed',
    weight: 7,
    inflict: ({ cluster }) => restart(cluster, 'agent-sandbox-controller', 'kill'),
  },
];

/** One of the faults, as often as its weight says. */
export function chooseFault(): Fault {
  let left = Math.random() * faults.reduce((sum, { weight }) => sum + weight, 0);
  for (const fault of faults) {
    left -= fault.weight;
    if (left < 0) return fault;
  }
  return faults[0] as Fault;
}

async function restart(cluster: Cluster, name: string, how: 'kill' | 'stop'): Promise<void> {
  const victim = find(cluster, name);
  await (how === 'kill' ? victim.kill() : victim.stop());
  const started = await cluster.plane.supervisor.start(victim.spec);
  await started.ready(await readiness(cluster, name), { deadlineMs: readyDeadlineMs });
}

/** Stands still for a while, with everything that it was doing half done. */
async function hang(cluster: Cluster, name: string): Promise<void> {
  const { pid } = find(cluster, name);
  process.kill(pid, 'SIGSTOP');
  await delay(300 + Math.random() * 2700);
  process.kill(pid, 'SIGCONT');
}

async function cutOff(relay: Relay): Promise<void> {
  relay.cut();
  await delay(Math.random() * 3000);
  relay.heal();
}

/** Whoever writes a session next, or at this moment, is told that it has changed. */
async function writeAll({ cluster: { client }, namespace }: Patient): Promise<void> {
  const path = `${sandboxApi.path}/namespaces/${namespace}/${sandboxApi.resource}`;
  for (let round = 0; round < 5; round += 1) {
    const { items } = await client.request<KubeList<KubeObject>>({ path, query: { labelSelector: sessionSelector } });
    const body = { metadata: { annotations: { 'example.com/round': String(Math.random()) } } };
    await Promise.allSettled(
      items.map(({ metadata }) =>
        client.request({ method: 'PATCH', path: `${path}/${metadata.name}`, contentType: patchTypes.merge, body }),
      ),
    );
  }
}

function find({ plane }: Cluster, name: string): SupervisedProcess {
  const found = plane.processes.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`${name} does not run`);
  return found;
}

async function readiness({ plane, sojourn }: Cluster, name: string): Promise<() => Promise<boolean>> {
  switch (name) {
    case 'sojourn-apiserver':
      return await answersOk(`http://127.0.0.1:${sojourn.ports.sojournApiserverOperations}/readyz`);
    case 'sojourn-proxy':
      return await answersOk(`http://127.0.0.1:${sojourn.ports.sojournProxyOperations}/readyz`);
    case 'kube-apiserver':
      return await answersOk(`${plane.server}/readyz`, { ca: plane.pki.ca.cert, client: plane.pki.admin });
    default:
      return await answersOk(`http://127.0.0.1:${plane.ports.agentSandboxHealth}/readyz`);
  }
}
