import { join } from 'node:path';
import type { KubeClient } from '../../apis/client/transport.ts';
import { accounts } from '../../apis/names.ts';
import { checkout } from '../start/places.ts';
import { type AccountFiles, writeAccountFiles } from './account.ts';
import type { ControlPlane } from './control-plane.ts';
import type { CredentialPaths } from './pki.ts';
import { assignPorts } from './ports.ts';
import { answersOk } from './probe.ts';
import type { SupervisedProcess } from './process.ts';
import { programCommand } from './programs.ts';

const readyDeadlineMs = 30_000;

const sojournPorts = [
  'sojournApiserver',
  'sojournApiserverOperations',
  'sojournProxy',
  'sojournProxyOperations',
] as const;
type SojournPorts = Record<(typeof sojournPorts)[number], number>;

/** A further process of one of the two kinds. */
export interface Replica {
  process: SupervisedProcess;
  port: number;
  operationsPort: number;
}

/** One process to start. */
interface Part {
  name: string;
  program: 'apiserver' | 'proxy';
  account: string;
  certificate: CredentialPaths;
  port: number;
  operationsPort: number;
  largestHeadersBytes: number;
  nodeFlags: readonly string[];
  flags: readonly string[];
}

/** Sojourn's own two processes on this machine, each with its own account of the cluster. */
export class SojournProcesses {
  readonly #plane: ControlPlane;
  readonly #client: KubeClient;
  readonly #files: AccountFiles[] = [];
  readonly #onError: (error: unknown) => void;
  readonly ports: SojournPorts;

  private constructor(plane: ControlPlane, client: KubeClient, ports: SojournPorts, onError: (error: unknown) => void) {
    this.#plane = plane;
    this.#client = client;
    this.ports = ports;
    this.#onError = onError;
  }

  static async prepare(
    plane: ControlPlane,
    client: KubeClient,
    onError: (error: unknown) => void,
  ): Promise<SojournProcesses> {
    return new SojournProcesses(plane, client, await assignPorts(plane.portsFile, sojournPorts), onError);
  }

  /** Starts the aggregated API server and waits until it is ready. */
  async startApiserver(): Promise<SupervisedProcess> {
    const { sojournApiserver: port, sojournApiserverOperations: operationsPort } = this.ports;
    return await this.#startApiserver({ name: 'sojourn-apiserver', port, operationsPort, flags: [], nodeFlags: [] });
  }

  /**
   * Starts one more API server beside the first, which kube-apiserver does not know of, and waits until it is ready.
   * @param nodeFlags for Node itself.
   */
  async startApiserverReplica(
    name: string,
    flags: readonly string[] = [],
    nodeFlags: readonly string[] = [],
  ): Promise<Replica> {
    const ports = await this.#portsOf(name);
    return { process: await this.#startApiserver({ name, ...ports, flags, nodeFlags }), ...ports };
  }

  async #startApiserver(
    part: Pick<Part, 'name' | 'port' | 'operationsPort' | 'flags' | 'nodeFlags'>,
  ): Promise<SupervisedProcess> {
    return await this.#start({
      ...part,
      program: 'apiserver',
      account: accounts.apiserver,
      certificate: this.#plane.pki.sojournApiserver,
      largestHeadersBytes: 98_304,
    });
  }

  /** Starts the streaming proxy and waits until it is ready. */
  async startProxy(): Promise<SupervisedProcess> {
    const { sojournProxy: port, sojournProxyOperations: operationsPort } = this.ports;
    return await this.#startProxy({ name: 'sojourn-proxy', port, operationsPort, flags: [], nodeFlags: [] });
  }

  /**
   * Starts one more proxy beside the first, with more flags if given, and waits until it is ready.
   * @param nodeFlags for Node itself.
   */
  async startProxyReplica(
    name: string,
    flags: readonly string[] = [],
    nodeFlags: readonly string[] = [],
  ): Promise<Replica> {
    const ports = await this.#portsOf(name);
    return { process: await this.#startProxy({ name, ...ports, flags, nodeFlags }), ...ports };
  }

  async #portsOf(name: string): Promise<{ port: number; operationsPort: number }> {
    const ports = await assignPorts(this.#plane.portsFile, [name, `${name}-operations`]);
    return { port: ports[name] ?? 0, operationsPort: ports[`${name}-operations`] ?? 0 };
  }

  async #startProxy(
    part: Pick<Part, 'name' | 'port' | 'operationsPort' | 'flags' | 'nodeFlags'>,
  ): Promise<SupervisedProcess> {
    return await this.#start({
      ...part,
      program: 'proxy',
      account: accounts.proxy,
      certificate: this.#plane.pki.sojournProxy,
      largestHeadersBytes: 65_536,
      nodeFlags: [
        ...['--min-semi-space-size=16', '--max-semi-space-size=32', '--single-threaded-gc'],
        ...part.nodeFlags,
      ],
    });
  }

  stop(): void {
    for (const files of this.#files) files.stop();
  }

  async #start(part: Part): Promise<SupervisedProcess> {
    const plane = this.#plane;
    const files = await writeAccountFiles({
      client: this.#client,
      account: part.account,
      dir: join(plane.dir, 'components'),
      caFile: plane.pki.ca.cert,
      onError: this.#onError,
    });
    this.#files.push(files);
    const [file, ...args] = programCommand(part.program, [
      // As the images have it; a server option does not reach the HTTP/1.1 side of an HTTP/2 server.
      `--max-http-header-size=${part.largestHeadersBytes}`,
      ...part.nodeFlags,
    ]);
    const process = await plane.supervisor.start({
      name: part.name,
      file,
      args: [
        ...args,
        ...['--kubeconfig', files.kubeconfig],
        ...['--listen-address', '127.0.0.1', '--listen-port', String(part.port)],
        ...['--tls-cert-file', part.certificate.cert, '--tls-private-key-file', part.certificate.key],
        ...['--operations-address', '127.0.0.1', '--operations-port', String(part.operationsPort)],
        ...['--audit-log-path', join(plane.dir, 'logs', `${part.name}-audit.log`)],
        '--allow-loopback-pods',
        // Nothing balances load here that would need time to look elsewhere.
        ...['--shutdown-delay-duration', '0s'],
        ...part.flags,
      ],
      env: { PATH: globalThis.process.env.PATH, HOME: globalThis.process.env.HOME },
      cwd: checkout,
    });
    const ready = await answersOk(`http://127.0.0.1:${part.operationsPort}/readyz`);
    await process.ready(ready, { deadlineMs: readyDeadlineMs });
    return process;
  }
}
