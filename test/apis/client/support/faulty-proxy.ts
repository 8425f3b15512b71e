import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readLines } from '../../../../apis/client/lines.ts';
import { KubeClient } from '../../../../apis/client/transport.ts';

/** What is done to one request, in place of serving it or after some lines of its answer. */
export type Fault =
  | { kind: 'status'; code: number }
  | { kind: 'reset'; afterLines: number }
  | { kind: 'truncate'; afterLines: number }
  | { kind: 'silence'; afterLines: number }
  | { kind: 'expired' };

/** A plain HTTP server in front of the real kube-apiserver that spoils answers when it is told to. */
export class FaultyProxy {
  readonly client: KubeClient;
  readonly #upstream: KubeClient;
  readonly #server: Server;
  readonly #faults: { list: Fault[]; watch: Fault[] } = { list: [], watch: [] };
  /** Requests that came. */
  readonly requests = { list: 0, watch: 0 };

  private constructor(upstream: KubeClient, server: Server) {
    this.#upstream = upstream;
    this.#server = server;
    this.client = new KubeClient({ server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  }

  static async open(upstream: KubeClient): Promise<FaultyProxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new FaultyProxy(upstream, server);
    server.on('request', (request, response) => {
      // Whoever cuts an answer sees its own cut.
      proxy.#serve(request, response).catch(() => response.destroy());
    });
    return proxy;
  }

  /** Faults of the next requests, one each. */
  spoil(what: 'list' | 'watch', ...faults: Fault[]): void {
    this.#faults[what].push(...faults);
  }

  /** Whether all faults have happened. */
  get isSpent(): boolean {
    return this.#faults.list.length === 0 && this.#faults.watch.length === 0;
  }

  /** Cuts every connection. */
  cut(): void {
    this.#server.closeAllConnections();
  }

  async stop(): Promise<void> {
    await this.client.close();
    this.#server.close();
    this.cut();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://proxy');
    const query = Object.fromEntries(url.searchParams);
    const what = query.watch === 'true' ? 'watch' : 'list';
    this.requests[what] += 1;
    const fault = this.#faults[what].shift();
    if (fault?.kind === 'status') {
      response.writeHead(fault.code, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ kind: 'Status', status: 'Failure', code: fault.code, message: 'spoiled' }));
      return;
    }
    if (fault?.kind === 'expired') {
      const object = { kind: 'Status', status: 'Failure', code: 410, reason: 'Expired', message: 'spoiled' };
      response.end(`${JSON.stringify({ type: 'ERROR', object })}\n`);
      return;
    }
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const answer = await this.#upstream.stream({ path: url.pathname, query, signal: gone.signal });
    response.writeHead(answer.status, { 'content-type': 'application/json' });
    response.flushHeaders();
    if (fault?.kind === 'silence' && fault.afterLines === 0) return;
    let lines = 0;
    for await (const line of readLines(answer.body)) {
      lines += 1;
      if (fault !== undefined && lines > fault.afterLines) {
        if (fault.kind === 'reset') response.destroy();
        else if (fault.kind === 'truncate') response.end(line.subarray(0, line.length >> 1));
        return;
      }
      response.write(`${line.toString('utf8')}\n`);
    }
    response.end();
  }
}
