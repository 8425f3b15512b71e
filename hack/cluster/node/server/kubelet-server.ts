import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { TLSSocket } from 'node:tls';
import { ApiError, asApiError } from '../../../../apis/machinery/errors.ts';
import type { Log } from '../../../../apis/runtime/log.ts';
import type { LogFile } from '../logs/log-file.ts';
import { readLog } from '../logs/log-reader.ts';
import { parseLogQuery } from './log-query.ts';

/** How the node proves itself to kube-apiserver, and kube-apiserver to the node. PEM throughout. */
export interface ServingCertificates {
  cert: string;
  key: string;
  /** Issuer of kube-apiserver's kubelet client certificate. */
  clientCa: string;
  /** Common name of that certificate; kubeadm's when absent. Its issuer has signed for users too. */
  clientName?: string;
}

/** One log on disk, and its writer while the attempt runs. */
export interface ContainerLogSource {
  path: string;
  live: LogFile | undefined;
}

export interface KubeletServerOptions {
  host: string;
  /** 0 for any free one. */
  port: number;
  certificates: ServingCertificates;
  /** @throws ApiError when there is no such Pod or container, or no log of it. */
  findLog: (request: { namespace: string; pod: string; container: string; previous: boolean }) => ContainerLogSource;
  log: Log;
}

const notYet = ['exec', 'attach', 'portForward', 'run'];

/** Serves the part of kubelet's API that kube-apiserver calls: `/containerLogs`. Errors are plain text, as kubelet's are. */
export async function serveKubelet(
  options: KubeletServerOptions,
): Promise<{ port: number; stop: () => Promise<void> }> {
  const stopping = new AbortController();
  const { cert, key, clientCa } = options.certificates;
  const server = createServer({ cert, key, ca: clientCa, requestCert: true, rejectUnauthorized: false });
  server.on('request', (request, response) => {
    handle(request, response, options, stopping.signal).catch((error: unknown) => {
      // Whoever asked has gone away; there is nobody to tell.
      options.log.debug('a kubelet request broke off', { error });
      response.destroy();
    });
  });
  server.listen(options.port, options.host);
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  const stop = async () => {
    stopping.abort();
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  };
  return { port, stop };
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  options: KubeletServerOptions,
  stopping: AbortSignal,
): Promise<void> {
  try {
    authenticate(request.socket as TLSSocket, options.certificates);
    await route(request, response, options, stopping);
  } catch (error) {
    if (response.headersSent) throw error;
    const known = asApiError(error);
    if (known.code >= 500 && known.code !== 501) options.log.error('a kubelet request failed', { error });
    response.writeHead(known.code, { 'content-type': 'text/plain; charset=utf-8' });
    response.end(`${known.message}\n`);
  }
}

function authenticate(socket: TLSSocket, certificates: ServingCertificates): void {
  const { clientName = 'kube-apiserver-kubelet-client' } = certificates;
  if (socket.authorized && socket.getPeerCertificate().subject.CN === clientName) return;
  throw new ApiError('Unauthorized', "Unauthorized: only kube-apiserver's kubelet client certificate is accepted here");
}

async function route(
  request: IncomingMessage,
  response: ServerResponse,
  options: KubeletServerOptions,
  stopping: AbortSignal,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'https://node');
  const [kind = '', ...names] = url.pathname.slice(1).split('/').map(decodeURIComponent);
  if (kind === 'healthz') {
    response.end('ok');
    return;
  }
  if (notYet.includes(kind)) {
    throw new ApiError('MethodNotAllowed', `${kind} is not implemented by the local node`, { code: 501 });
  }
  const [namespace, pod, container] = names;
  if (kind !== 'containerLogs' || namespace === undefined || pod === undefined || container === undefined) {
    throw new ApiError(
      'NotFound',
      `the local node serves no ${url.pathname}: only /containerLogs/NAMESPACE/POD/CONTAINER`,
    );
  }
  if (request.method !== 'GET') throw new ApiError('MethodNotAllowed', 'logs can only be read: use GET');
  const { previous, ...query } = parseLogQuery(url.searchParams, Date.now());
  const { path, live } = options.findLog({ namespace, pod, container, previous });
  const closed = new AbortController();
  response.once('close', () => closed.abort());
  const signal = AbortSignal.any([closed.signal, stopping]);
  response.writeHead(200, { 'content-type': 'text/plain' });
  // A follower must see that it is connected before the first line is written.
  response.flushHeaders();
  await pipeline(Readable.from(readLog(path, query, { live, signal })), response);
}
