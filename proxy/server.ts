import { setTimeout as delay } from 'node:timers/promises';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { loadClusterConfig } from '../apis/client/kubeconfig.ts';
import { KubeClient } from '../apis/client/transport.ts';
import { registerCertificateMetric } from '../apis/runtime/certificate-metric.ts';
import { type Lifecycle, startWhole } from '../apis/runtime/lifecycle.ts';
import { Listener } from '../apis/runtime/listener.ts';
import type { Log } from '../apis/runtime/log.ts';
import { type Probe, serveOperations } from '../apis/runtime/operations.ts';
import { ServingCertificate } from '../apis/runtime/serving-certificate.ts';
import { openAccess, type ReviewedAccessOptions, type RunningAccess, reviewedAccess } from './access/access.ts';
import { AgentCubeRouter } from './agentcube/router.ts';
import { workloadManagerRoutes } from './agentcube/workload-manager.ts';
import { controlRoutes } from './control.ts';
import { Gateway } from './gateway.ts';
import { openAudit } from './invocation/audit.ts';
import { invocationSettings } from './invocation/flags.ts';
import { createInvocationPath } from './invocation/invocation-path.ts';
import { jwksRoutes } from './jwks.ts';
import type { ProxyOptions } from './options.ts';
import { SessionInformer } from './session-source.ts';
import { CallerSessions } from './sessions/caller-sessions.ts';
import { SessionIds } from './sessions/session-ids.ts';

/** How long calls in flight may take to end: with the delay before and the last writes after it, less than a Pod's 30 s. */
const graceMs = 15_000;

const largestHeadersBytes = 64 * 1024;

/** A running proxy. */
export interface RunningProxy {
  port: number;
  operationsPort: number;
  /** Asks clients to leave, then accepts nothing new, lets calls in flight end within their time, and stops everything. */
  stop(): Promise<void>;
}

/** Wires and starts the proxy: the file to read first. */
export async function startProxy(options: ProxyOptions, log: Log): Promise<RunningProxy> {
  return await startWhole(log, (lifecycle) => start(options, log, lifecycle));
}

async function start(options: ProxyOptions, log: Log, lifecycle: Lifecycle): Promise<RunningProxy> {
  const certificate = await certificateOf(options, log);
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });

  const client = new KubeClient(await loadClusterConfig(options.kubeconfig));
  lifecycle.started({ name: 'client', stop: () => client.close() });
  const audit = openAudit({ path: options['audit-log-path'], registry, log });
  lifecycle.started({ name: 'audit', stop: () => audit.stop() });
  const sessions = new SessionInformer({ client, log });
  const invocations = createInvocationPath({
    client,
    sandboxes: sessions,
    transitions: sessions,
    allowLoopbackPods: options['allow-loopback-pods'],
    registry,
    log,
    settings: invocationSettings(options),
    audit,
  });
  sessions.start();
  lifecycle.started({ name: 'sessions', stop: () => sessions.stop() });
  invocations.start();
  lifecycle.started({ name: 'invocations', stop: () => invocations.stop() });

  const access = await accessOf(options, { client, registry, log });
  access.start();
  registerCertificateMetric(registry, {
    serving: () => certificate?.expiresAt,
    'client-ca': () => access.certificatesEnd(),
  });
  lifecycle.started({ name: 'access', stop: () => access.stop() });

  let stopping = false;
  const notStopping: Probe = { name: 'not-stopping', check: () => (stopping ? 'this process is stopping' : undefined) };
  const operations = await serveOperations({
    host: options['operations-address'],
    port: options['operations-port'],
    live: [],
    ready: [...invocations.ready, ...access.ready, notStopping],
    registry,
    log,
  });
  lifecycle.started({ name: 'operations', stop: () => operations.stop() });

  const ids = new SessionIds(sessions);
  lifecycle.started({ name: 'session-ids', stop: () => ids.stop() });
  const agentcube = {
    access,
    invocations,
    ids,
    sessions: new CallerSessions({ client, inFlight: invocations.inFlight, registry }),
    log,
  };
  const manager = workloadManagerRoutes({ ...agentcube, ready: [...invocations.ready, notStopping] });
  const gateway = new Gateway({
    access,
    invocations,
    agentcube: new AgentCubeRouter(agentcube),
    control: controlRoutes([jwksRoutes(invocations.keys), manager], log),
    log,
  });
  const listener = await Listener.open({
    address: options['listen-address'],
    port: options['listen-port'],
    tls: certificate && { ...certificate.pair, clientCertificates: options.auth === 'none' ? 'ignore' : 'ask' },
    largestHeadersBytes,
    mostStreams: 1000,
    onRequest: (request, response, sendContinue) => void gateway.handle(request, response, sendContinue),
    onUpgrade: (request, socket, head) => void gateway.handleUpgrade(request, socket, head),
  });
  certificate?.start((pair) => listener.setCertificate(pair));
  lifecycle.started({ name: 'certificate', stop: () => certificate?.stop() });
  lifecycle.started({ name: 'listener', stop: () => listener.stop({ graceMs }) });
  log.info('proxy is listening', { address: options['listen-address'], port: listener.port, auth: options.auth });

  const stop = async () => {
    stopping = true;
    listener.drain();
    await delay(options['shutdown-delay-duration']);
    await lifecycle.stop();
  };
  return { port: listener.port, operationsPort: operations.port, stop };
}

/** Undefined for plain HTTP. */
async function certificateOf(options: ProxyOptions, log: Log): Promise<ServingCertificate | undefined> {
  const certFile = options['tls-cert-file'];
  const keyFile = options['tls-private-key-file'];
  if (options['insecure-http'] || certFile === undefined || keyFile === undefined) return undefined;
  return await ServingCertificate.open({ certFile, keyFile, log });
}

async function accessOf(
  options: ProxyOptions,
  shared: Pick<ReviewedAccessOptions, 'client' | 'registry' | 'log'>,
): Promise<RunningAccess> {
  if (options.auth === 'none') return openAccess(shared.client, shared.log);
  const audiences = options['token-audiences'] ?? [];
  return await reviewedAccess({ ...shared, audiences, clientCaFile: options['client-ca-file'] });
}
