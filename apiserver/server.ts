import { setTimeout as delay } from 'node:timers/promises';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { loadClusterConfig } from '../apis/client/kubeconfig.ts';
import { KubeClient } from '../apis/client/transport.ts';
import { accounts } from '../apis/names.ts';
import { firstEnd, registerCertificateMetric } from '../apis/runtime/certificate-metric.ts';
import { type Lifecycle, startWhole } from '../apis/runtime/lifecycle.ts';
import { Listener } from '../apis/runtime/listener.ts';
import type { Log } from '../apis/runtime/log.ts';
import { type Probe, serveOperations } from '../apis/runtime/operations.ts';
import { UsageError } from '../apis/runtime/options.ts';
import { ServingCertificate } from '../apis/runtime/serving-certificate.ts';
import { desiredPool } from '../apis/v1alpha1/pool-template.ts';
import { Authorizer } from '../proxy/access/authorize.ts';
import { AccessMetrics } from '../proxy/access/metrics.ts';
import { openAudit } from '../proxy/invocation/audit.ts';
import { invocationSettings } from '../proxy/invocation/flags.ts';
import { createInvocationPath } from '../proxy/invocation/invocation-path.ts';
import { rejectUpgrade, respondError } from '../proxy/invocation/respond.ts';
import { FrontProxyAuthenticator } from './authentication/front-proxy.ts';
import { Delegation } from './authentication/on-behalf-of.ts';
import { RequestHeaderConfigSource } from './authentication/request-header-config.ts';
import { DiscoveryHandler } from './discovery/handler.ts';
import { Guard } from './guard.ts';
import { Dispatcher, type Exchange, type Upgrade } from './http/dispatcher.ts';
import { errorFormatFor } from './http/error-format.ts';
import type { ApiserverOptions } from './options.ts';
import { PoolMembers } from './pools/members.ts';
import { Namespaces } from './pools/namespaces.ts';
import { PoolKeeper } from './pools/pool-keeper.ts';
import type { KnownPool } from './pools/pool-plan.ts';
import { PoolTroubles } from './pools/pool-trouble.ts';
import { WarmStarts } from './pools/warm-starts.ts';
import { QuotaCharges } from './quota/quota-charges.ts';
import { QuotaIndex } from './quota/quota-index.ts';
import { SessionCreation } from './sessions/creation.ts';
import { SessionDeletions } from './sessions/deletions.ts';
import { SessionHandler } from './sessions/handler.ts';
import { SandboxReads } from './sessions/sandbox-reads.ts';
import { SessionUpdates } from './sessions/updates.ts';
import { EventEncoder } from './watch/encoding.ts';
import { SessionCache } from './watch/session-cache.ts';
import { WatchPlaces } from './watch/watch-places.ts';

/** How long open requests may go on once the process was asked to stop. */
const drainMs = 10_000;
/**
 * Above about 128 KiB nghttp2 answers one field by ending the whole connection, on which kube-apiserver carries every
 * watch and stream of the cluster; below this announced limit only the one request fails.
 */
const largestHeadersBytes = 96 * 1024;

/** A running API server. */
export interface RunningApiserver {
  port: number;
  stop(): Promise<void>;
}

/** Wires the aggregated API server and starts it. Discovery answers at once; sessions when everything is synced. */
export async function startApiserver(options: ApiserverOptions, log: Log): Promise<RunningApiserver> {
  return await startWhole(log, (lifecycle) => start(options, log, lifecycle));
}

async function start(options: ApiserverOptions, log: Log, lifecycle: Lifecycle): Promise<RunningApiserver> {
  const { 'tls-cert-file': certFile, 'tls-private-key-file': keyFile } = options;
  if (certFile === undefined || keyFile === undefined) {
    throw new UsageError(
      'sojourn-apiserver: --tls-cert-file and --tls-private-key-file are required: kube-apiserver speaks TLS only',
    );
  }
  const certificate = await ServingCertificate.open({ certFile, keyFile, log });
  const client = new KubeClient(await loadClusterConfig(options.kubeconfig), { userAgent: accounts.apiserver });
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const audit = openAudit({ path: options['audit-log-path'], registry, log });
  const allowSharedCa = options['allow-shared-front-proxy-ca'];
  const requestHeader = new RequestHeaderConfigSource({ client, log, allowSharedCa });
  registerCertificateMetric(registry, {
    serving: () => certificate.expiresAt,
    'front-proxy-ca': () => firstEnd(requestHeader.current?.authorities),
  });
  const guard = new Guard(client, log);
  const cache = new SessionCache(client, log);
  const invocations = createInvocationPath({
    client,
    sandboxes: cache,
    transitions: cache,
    allowLoopbackPods: options['allow-loopback-pods'],
    registry,
    log,
    settings: invocationSettings(options),
    audit,
  });
  const { keys } = invocations;
  const members = new PoolMembers({ client, log });
  const troubles = new PoolTroubles({
    membersOf: (poolUid) => members.of(poolUid),
    podFailureOf: (sandboxUid) => invocations.pods.podOf(sandboxUid)?.failure,
    now: Date.now,
  });
  const troubleOf = (pool: KnownPool) => troubles.of(pool);
  const pools = new PoolKeeper({ client, log, keys, desiredPool, troubleOf, now: Date.now });
  const warmStarts = new WarmStarts({
    client,
    pools: pools.pools,
    members,
    namespaces: new Namespaces({ client, log }),
  });
  const quotas = new QuotaIndex({ client, log });
  const creation = new SessionCreation({
    ...{ client, warmStarts, trustAnchors: () => keys.trustAnchors(), now: Date.now },
    runtimes: pools.runtimes,
    quotas: new QuotaCharges(client, quotas),
  });
  const reads = new SandboxReads({ client, cache });
  const ready: Probe[] = [
    probe('front-proxy-settings', () => requestHeader.problem()),
    probe('sessions-synced', () => (cache.synced ? undefined : 'the sandboxes have not been listed yet')),
    probe('quotas-synced', () => (quotas.synced ? undefined : 'the resource quotas have not been listed yet')),
    probe('guards', () => (options['allow-unguarded'] ? undefined : guard.problem())),
    ...invocations.ready,
  ];
  const authorizer = new Authorizer(client, new AccessMetrics(registry).rights);
  const dispatcher = new Dispatcher({
    authenticator: new FrontProxyAuthenticator(() => requestHeader.current),
    delegation: new Delegation({ authorizer, log }),
    authorizer,
    audit,
    discovery: new DiscoveryHandler(),
    sessions: new SessionHandler({
      ...{ reads, creation, cache, encoder: new EventEncoder(Date.now), now: Date.now },
      watchPlaces: new WatchPlaces(options['max-watches-per-user']),
      updates: new SessionUpdates({ client, reads, now: Date.now }),
      deletions: new SessionDeletions({ client, reads, now: Date.now }),
      chronicle: invocations.chronicle,
    }),
    invocations,
    live: [],
    ready,
  });
  if (options['allow-unguarded'])
    log.warn('session data is NOT guarded: anybody who may patch Sandboxes can forge sessions');
  for (const part of [requestHeader, guard, cache, invocations, pools, warmStarts, quotas]) part.start();
  lifecycle.started({ name: 'audit', stop: () => audit.stop() });
  lifecycle.started({ name: 'client', stop: () => client.close() });
  lifecycle.started({
    name: 'watches',
    stop: async () => {
      const parts = [requestHeader, guard, cache, invocations, pools, warmStarts, quotas];
      await Promise.all(parts.map((part) => part.stop()));
    },
  });
  const serve = async (exchange: Exchange) => {
    try {
      await dispatcher.handle(exchange);
    } catch (error) {
      respondError(exchange.request, exchange.response, error, log, errorFormatFor(exchange.request));
    }
  };
  const serveUpgrade = async (upgrade: Upgrade) => {
    // Node takes its own listener away with the upgrade; an unheard "error" would end the process.
    upgrade.socket.on('error', () => upgrade.socket.destroy());
    try {
      await dispatcher.handleUpgrade(upgrade);
    } catch (error) {
      rejectUpgrade(upgrade.socket, error, log);
    }
  };
  const listener = await Listener.open({
    address: options['listen-address'],
    port: options['listen-port'],
    tls: { ...certificate.pair, clientCertificates: 'ask' },
    largestHeadersBytes,
    // kube-apiserver carries every watch of the cluster on a few connections.
    mostStreams: 10_000,
    onRequest: (request, response, sendContinue) => void serve({ request, response, sendContinue }),
    onUpgrade: (request, socket, head) => void serveUpgrade({ request, socket, head }),
  });
  certificate.start((pair) => listener.setCertificate(pair));
  lifecycle.started({ name: 'certificate', stop: () => certificate.stop() });
  lifecycle.started({ name: 'listener', stop: () => listener.stop({ graceMs: drainMs }) });
  // Stopped before the listener, which waits for open requests: watches would go on for half an hour.
  lifecycle.started({ name: 'watch streams', stop: () => cache.endWatches() });
  let stopping = false;
  const operations = await serveOperations({
    host: options['operations-address'],
    port: options['operations-port'],
    live: [],
    ready: [...ready, probe('not-stopping', () => (stopping ? 'this process is stopping' : undefined))],
    registry,
    log,
  });
  lifecycle.started({ name: 'operations', stop: operations.stop });
  log.info('serving', { address: options['listen-address'], port: listener.port, operationsPort: operations.port });
  const stop = async () => {
    stopping = true;
    listener.drain();
    await delay(options['shutdown-delay-duration']);
    await lifecycle.stop();
  };
  return { port: listener.port, stop };
}

function probe(name: string, check: () => string | undefined): Probe {
  return { name, check };
}
