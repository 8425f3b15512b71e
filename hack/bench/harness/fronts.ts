import { readFile } from 'node:fs/promises';
import type { KubeObject } from '../../../apis/machinery/meta.ts';
import { secrets, systemNamespace } from '../../../apis/names.ts';
import type { Session } from '../../../apis/v1alpha1/types.ts';
import { daemonPort } from '../../../apis/wire/daemon.ts';
import { signToken } from '../../../apis/wire/token.ts';
import { readKeyList, type Secret } from '../../../proxy/invocation/keys/key-list.ts';
import type { Cluster } from '../../cluster/cluster.ts';
import type { SupervisedProcess } from '../../cluster/process.ts';
import type { Target } from '../load/connection.ts';
import { smallBody, smallPath } from '../upstream/routes.ts';
import { bind, type Cores, chooseCores } from './cores.ts';
import { LoadGenerator } from './load-generator.ts';
import { findNginx, type Nginx, startNginx } from './nginx.ts';
import { Workplace } from './workplace.ts';

const sessionName = 'box';

/** A way to the program in a session's sandbox. */
export interface Front {
  name: string;
  target: Target;
  /** Path of the program's root. */
  prefix: string;
  token: string;
  /** The process that is measured; undefined where none stands before the program. */
  pid?: number | undefined;
}

/** A front that was started for a benchmark; it ends with the others at the latest. */
export interface StartedFront extends Front {
  pid: number;
  stop(): Promise<void>;
}

/** A session with a program that costs little, the ways to it, and what sends requests along them. */
export class Fronts {
  readonly direct: Front;
  readonly proxy: Front;
  /** Through kube-apiserver; the process is sojourn-apiserver. */
  readonly aggregated: Front;
  readonly load: LoadGenerator;
  readonly #cluster: Cluster;
  readonly #cores: Cores;
  readonly workplace: Workplace;
  readonly #nginx: Nginx | undefined = findNginx();
  readonly #ends: (() => Promise<void> | void)[] = [];

  private constructor(
    { cluster, cores, workplace }: { cluster: Cluster; cores: Cores; workplace: Workplace },
    fronts: { direct: Front; proxy: Front; aggregated: Front },
  ) {
    this.#cluster = cluster;
    this.#cores = cores;
    this.workplace = workplace;
    this.direct = fronts.direct;
    this.proxy = fronts.proxy;
    this.aggregated = fronts.aggregated;
    this.load = new LoadGenerator(cores.rest);
    for (const { pid } of [this.proxy, this.aggregated]) {
      if (pid !== undefined) this.#ends.push(bind(pid, cores.measured));
    }
  }

  /** Creates the session and returns once it can be called through each front. */
  static async open(cluster: Cluster): Promise<Fronts> {
    const cores = chooseCores();
    const workplace = await Workplace.create(cluster.client, cores.rest);
    await workplace.createSession(sessionName, 'program');
    const session = await workplace.readySession(sessionName);
    const token = await workplace.token();
    const ca = await readFile(cluster.caFile, 'utf8');
    const prefix = `${workplace.sessions}/${sessionName}/proxy`;
    const pidOf = (name: string) => cluster.plane.processes.find((process) => process.name === name)?.pid;
    const fronts = new Fronts(
      { cluster, cores, workplace },
      {
        direct: {
          name: 'the program without anything before it',
          target: { origin: `http://${session.status?.addresses?.[0]}:${daemonPort}`, ca },
          prefix: '',
          token: await sandboxToken(cluster, session),
        },
        proxy: {
          name: 'the proxy',
          target: { origin: cluster.proxyUrl, ca },
          prefix,
          token,
          pid: pidOf('sojourn-proxy'),
        },
        aggregated: {
          name: 'kube-apiserver, then sojourn-apiserver (CPU: the latter)',
          target: { origin: cluster.plane.server, ca },
          ...{ prefix, token, pid: pidOf('sojourn-apiserver') },
        },
      },
    );
    try {
      const expected = { status: 200, body: smallBody };
      for (const front of [fronts.direct, fronts.proxy, fronts.aggregated]) {
        const request = requestOf(front, 'GET', smallPath);
        await fronts.load.run('calls', { ...front.target, connections: 1, requests: 1, request, expected });
      }
      return fronts;
    } catch (error) {
      await fronts.close();
      throw error;
    }
  }

  /** How an nginx is started before the program, to stand beside the proxy; undefined when it is not installed. */
  get nginx(): { name: string; start: () => Promise<StartedFront> } | undefined {
    const installed = this.#nginx;
    if (installed === undefined) return undefined;
    const name = `nginx ${installed.version}`;
    const start = async () => {
      const upstream = new URL(this.direct.target.origin).host;
      const { origin, process } = await startNginx(installed, this.#cluster, {
        ...{ name: 'bench-nginx', upstream, core: this.#cores.measured },
      });
      return this.#started({ ...this.direct, name, target: { ...this.direct.target, origin } }, process);
    };
    return { name, start };
  }

  /** Starts a further proxy, which has served nobody yet. */
  async startProxy(): Promise<StartedFront> {
    const { process, port } = await this.#cluster.sojourn.startProxyReplica('bench-proxy');
    bind(process.pid, this.#cores.measured);
    const target = { ...this.proxy.target, origin: `https://127.0.0.1:${port}` };
    return this.#started({ ...this.proxy, target }, process);
  }

  async close(): Promise<void> {
    this.load.close();
    for (const end of this.#ends.splice(0).reverse()) await end();
    await this.workplace.remove();
  }

  #started(front: Front, process: SupervisedProcess): StartedFront {
    let running = true;
    const stop = async () => {
      if (running) await process.stop();
      running = false;
    };
    this.#ends.push(stop);
    return { ...front, pid: process.pid, stop };
  }
}

/** The bytes of a request through a front, with more header lines if given. */
export function requestOf(front: Front, method: string, path: string, headers: readonly string[] = []): string {
  const { host } = new URL(front.target.origin);
  const lines = [`${method} ${front.prefix}${path} HTTP/1.1`, `Host: ${host}`, `Authorization: Bearer ${front.token}`];
  return `${[...lines, 'Accept: */*', ...headers].join('\r\n')}\r\n\r\n`;
}

/** A token as Sojourn's own processes sign it, for calls that do not pass through one. */
async function sandboxToken({ client }: Cluster, { metadata }: Session): Promise<string> {
  const path = `/api/v1/namespaces/${systemNamespace}/secrets/${secrets.signingKeys}`;
  const { keys } = await readKeyList(await client.request<Secret>({ path }), 'ES256');
  const { uid = '', namespace = '', name = '' } = metadata;
  const pod = await client.request<KubeObject>({ path: `/api/v1/namespaces/${namespace}/pods/${name}` });
  const podUid = pod.metadata.uid ?? '';
  const subject = { sessionUid: uid, namespace, sandbox: name, podUid, user: { username: 'bench' } };
  return await signToken(subject, keys[0], new Date());
}
