import { readFile } from 'node:fs/promises';
import { KubeClient } from '../../apis/client/transport.ts';
import type { KubeObject } from '../../apis/machinery/meta.ts';
import { secrets, systemNamespace } from '../../apis/names.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { daemonPort } from '../../apis/wire/daemon.ts';
import { signToken } from '../../apis/wire/token.ts';
import { readSigningSecret, type Secret } from '../../proxy/invocation/key-secrets.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Benchmark, Contest, Reading, Side, Size } from './harness/benchmark.ts';
import { type Call, ClosedLoop } from './harness/closed-loop.ts';
import { cpuTimeUs } from './harness/cpu-time.ts';
import { findNginx, startNginx } from './harness/nginx.ts';
import { percentile } from './harness/statistics.ts';
import { Workplace } from './harness/workplace.ts';

interface Load {
  connections: number;
  /** In a round, over all connections. */
  requests: number;
}

/** CPU time is reported under the last one alone: a process that mostly waits spends much of it on waking up. */
const loads: Record<Size, Load[]> = {
  full: [
    { connections: 1, requests: 300 },
    { connections: 16, requests: 1200 },
  ],
  tiny: [{ connections: 2, requests: 10 }],
};
const fileName = 'hundred.txt';
const fileContent = Buffer.alloc(100, 'x');
const sessionName = 'box';

export const invocation: Benchmark = {
  name: 'invocation',
  how:
    "a small call through each front: the daemon's health document and a file of 100 bytes, over kept connections " +
    'that each send the next request when they have the last answer; CPU is that of the process named',
  open,
};

/** A way to the daemon. */
interface Front {
  name: string;
  origin: string;
  /** Path of the daemon's root. */
  prefix: string;
  token: string;
  /** The process whose CPU time counts as this front's. */
  pid?: number | undefined;
}

async function open(cluster: Cluster, size: Size): Promise<Contest> {
  const workplace = await Workplace.create(cluster.client);
  await workplace.createSession(sessionName, 'daemon');
  const session = await workplace.readySession(sessionName);
  const token = await workplace.token();
  const ca = await readFile(cluster.caFile, 'utf8');
  const prefix = `${workplace.sessions}/${sessionName}/proxy`;
  const pidOf = (name: string) => cluster.plane.processes.find((process) => process.name === name)?.pid;
  // Also gives the daemon the signing keys, without which it would take nobody's token.
  await upload(cluster.proxyUrl, ca, token, prefix);
  const upstream = `${session.status?.addresses?.[0]}:${daemonPort}`;
  const direct: Front = {
    name: 'the daemon without a proxy',
    origin: `http://${upstream}`,
    prefix: '',
    token: await daemonToken(cluster, session),
  };
  const proxy: Front = { name: 'the proxy', origin: cluster.proxyUrl, prefix, token, pid: pidOf('sojourn-proxy') };
  const aggregated: Front = {
    ...{
      name: 'kube-apiserver, then sojourn-apiserver (CPU: the latter)',
      origin: cluster.plane.server,
      prefix,
      token,
    },
    pid: pidOf('sojourn-apiserver'),
  };
  const installed = findNginx();
  const nginx = installed === undefined ? undefined : await startNginx(installed, cluster, upstream);
  const side = (front: Front) => new FrontSide(front, ca, loads[size]);
  const reference =
    nginx === undefined
      ? side({ ...direct, name: `${direct.name} (nginx, the better one, is not installed)` })
      : side({ ...direct, name: `nginx ${installed?.version}`, origin: nginx.origin, pid: nginx.process.pid });
  const subjects = [...(nginx === undefined ? [] : [direct]), proxy, aggregated].map(side);
  return {
    reference,
    subjects,
    close: async () => {
      for (const each of [reference, ...subjects]) await each.close();
      await nginx?.process.stop();
      await workplace.remove();
    },
  };
}

/** All calls through one front, under all loads. */
class FrontSide implements Side {
  readonly name: string;
  readonly #front: Front;
  readonly #loads: (Load & { loop: ClosedLoop })[];

  constructor(front: Front, ca: string, given: readonly Load[]) {
    this.name = front.name;
    this.#front = front;
    this.#loads = given.map((load) => ({ ...load, loop: new ClosedLoop({ ...load, ca, origin: front.origin }) }));
  }

  async round(): Promise<Reading[]> {
    const { prefix, token } = this.#front;
    const headers = { authorization: `Bearer ${token}` };
    const calls = {
      'GET /health': { path: `${prefix}/health`, headers, problem: healthProblem },
      'GET 100 bytes': { path: `${prefix}/api/files/${fileName}`, headers, problem: fileProblem },
    };
    const readings: Reading[] = [];
    for (const load of this.#loads) {
      const over = `${load.connections} connection${load.connections === 1 ? '' : 's'}`;
      for (const [name, call] of Object.entries(calls)) {
        const { latencies, cpuUs } = await this.#run(load, call);
        for (const percent of [50, 99]) {
          const measure = `${name}, ${over}, p${percent}`;
          readings.push({ measure, unit: 'ms', value: percentile(latencies, percent) });
        }
        if (cpuUs === undefined || load !== this.#loads.at(-1)) continue;
        readings.push({ measure: `${name}, ${over}, CPU of one`, unit: 'µs', value: cpuUs / load.requests });
      }
    }
    return readings;
  }

  async close(): Promise<void> {
    for (const { loop } of this.#loads) await loop.close();
  }

  async #run(
    { loop, connections, requests }: Load & { loop: ClosedLoop },
    call: Call,
  ): Promise<{ latencies: number[]; cpuUs: number | undefined }> {
    // Connects if need be, and renews the verdicts that a front keeps for seconds.
    await loop.run(call, 2 * connections);
    const { pid } = this.#front;
    const before = pid === undefined ? undefined : await cpuTimeUs(pid);
    const latencies = await loop.run(call, requests);
    const after = pid === undefined ? undefined : await cpuTimeUs(pid);
    return { latencies, cpuUs: before === undefined || after === undefined ? undefined : after - before };
  }
}

function healthProblem(status: number, body: Buffer): string | undefined {
  return status === 200 && body.includes('"status":"ok"') ? undefined : `${status} ${body.toString('utf8', 0, 300)}`;
}

function fileProblem(status: number, body: Buffer): string | undefined {
  return status === 200 && body.equals(fileContent) ? undefined : `${status} ${body.toString('utf8', 0, 300)}`;
}

async function upload(server: string, ca: string, token: string, prefix: string): Promise<void> {
  const agent = new KubeClient({ server, ca, token: async () => token });
  try {
    const body = { path: fileName, content: fileContent.toString('base64') };
    await agent.request({ method: 'POST', path: `${prefix}/api/files`, body });
  } finally {
    await agent.close();
  }
}

/** A token as Sojourn's own processes sign it, for calls that do not pass through one. */
async function daemonToken({ client }: Cluster, { metadata }: Session): Promise<string> {
  const path = `/api/v1/namespaces/${systemNamespace}/secrets/${secrets.signingKeys}`;
  const { keys } = await readSigningSecret(await client.request<Secret>({ path }));
  const { uid = '', namespace = '', name = '' } = metadata;
  const pod = await client.request<KubeObject>({ path: `/api/v1/namespaces/${namespace}/pods/${name}` });
  const podUid = pod.metadata.uid ?? '';
  const subject = { sessionUid: uid, namespace, sandbox: name, podUid, user: { username: 'bench' } };
  return await signToken(subject, keys[0], new Date());
}
