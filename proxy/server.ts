import { readFile } from 'node:fs/promises';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { loadClusterConfig } from '../apis/client/kubeconfig.ts';
import { KubeClient } from '../apis/client/transport.ts';
import { Lifecycle } from '../apis/runtime/lifecycle.ts';
import { Listener, type ServingTls } from '../apis/runtime/listener.ts';
import type { Log } from '../apis/runtime/log.ts';
import { type Probe, serveOperations } from '../apis/runtime/operations.ts';
import { TokenAuthenticator } from './access/authenticate.ts';
import { Authorizer } from './access/authorize.ts';
import { type Access, Gateway } from './gateway.ts';
import { createInvocationPath } from './invocation/invocation-path.ts';
import type { ProxyOptions } from './options.ts';
import { SessionInformer } from './session-source.ts';

/** How long calls in flight may take to end after a stop was asked for; less than a Pod's default grace of 30 s. */
const graceMs = 25_000;

const largestHeadersBytes = 64 * 1024;

/** A running proxy. */
export interface RunningProxy {
  port: number;
  operationsPort: number;
  /** Accepts nothing new, lets calls in flight end within the grace period, then stops everything. */
  stop(): Promise<void>;
}

/** Wires and starts the proxy: the file to read first. */
export async function startProxy(options: ProxyOptions, log: Log): Promise<RunningProxy> {
  const lifecycle = new Lifecycle(log);
  try {
    return await start(options, log, lifecycle);
  } catch (error) {
    await lifecycle.stop();
    throw error;
  }
}

async function start(options: ProxyOptions, log: Log, lifecycle: Lifecycle): Promise<RunningProxy> {
  const tls = await readTls(options);
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });

  const client = new KubeClient(await loadClusterConfig(options.kubeconfig));
  lifecycle.started({ name: 'client', stop: () => client.close() });
  const sessions = new SessionInformer({ client, log });
  const invocations = createInvocationPath({
    client,
    sandboxes: sessions,
    allowLoopbackPods: options['allow-loopback-pods'],
    registry,
    log,
  });
  sessions.start();
  lifecycle.started({ name: 'sessions', stop: () => sessions.stop() });
  invocations.start();
  lifecycle.started({ name: 'invocations', stop: () => invocations.stop() });

  let stopping = false;
  const notStopping: Probe = { name: 'not-stopping', check: () => (stopping ? 'this process is stopping' : undefined) };
  const operations = await serveOperations({
    host: options['operations-address'],
    port: options['operations-port'],
    live: [],
    ready: [...invocations.ready, notStopping],
    registry,
    log,
  });
  lifecycle.started({ name: 'operations', stop: () => operations.stop() });

  const gateway = new Gateway({ access: accessOf(options, client, log), invocations, log });
  const listener = await Listener.open({
    address: options['listen-address'],
    port: options['listen-port'],
    tls,
    largestHeadersBytes,
    mostStreams: 1000,
    onRequest: (request, response, sendContinue) => void gateway.handle(request, response, sendContinue),
    onUpgrade: (request, socket, head) => void gateway.handleUpgrade(request, socket, head),
  });
  lifecycle.started({ name: 'listener', stop: () => listener.stop({ graceMs }) });
  log.info('proxy is listening', { address: options['listen-address'], port: listener.port, auth: options.auth });

  const stop = async () => {
    stopping = true;
    await lifecycle.stop();
  };
  return { port: listener.port, operationsPort: operations.port, stop };
}

async function readTls(options: ProxyOptions): Promise<ServingTls | undefined> {
  const certFile = options['tls-cert-file'];
  const keyFile = options['tls-private-key-file'];
  if (options['insecure-http'] || certFile === undefined || keyFile === undefined) return undefined;
  const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
  return { cert, key, clientCertificates: 'ignore' };
}

function accessOf(options: ProxyOptions, client: KubeClient, log: Log): Access {
  if (options.auth === 'tokenreview') {
    const authenticator = new TokenAuthenticator(client);
    const authorizer = new Authorizer(client);
    return {
      authenticate: (rawHeaders) => authenticator.authenticate(rawHeaders),
      authorize: (user, attributes) => authorizer.authorize(user, attributes),
    };
  }
  log.warn('--auth=none: EVERYBODY ON THIS MACHINE MAY RUN CODE IN EVERY SESSION; use it for experiments alone');
  return {
    authenticate: async () => ({ username: 'system:anonymous', groups: ['system:unauthenticated'] }),
    authorize: async () => undefined,
  };
}
