import { Registry } from 'prom-client';
import type { KubeClient } from '../../../apis/client/transport.ts';
import { Listener, type ServingTls } from '../../../apis/runtime/listener.ts';
import { createLog } from '../../../apis/runtime/log.ts';
import type { Caller } from '../../../proxy/access/caller.ts';
import type { UserInfo } from '../../../proxy/access/user.ts';
import { AgentCubeRouter } from '../../../proxy/agentcube/router.ts';
import { workloadManagerRoutes } from '../../../proxy/agentcube/workload-manager.ts';
import { controlRoutes } from '../../../proxy/control.ts';
import { Gateway } from '../../../proxy/gateway.ts';
import type { AuditLog } from '../../../proxy/invocation/audit.ts';
import type { InvocationSettings } from '../../../proxy/invocation/flags.ts';
import { createInvocationPath, type InvocationPath } from '../../../proxy/invocation/invocation-path.ts';
import type { SandboxSource } from '../../../proxy/invocation/sandbox-source.ts';
import { jwksRoutes } from '../../../proxy/jwks.ts';
import { SessionInformer } from '../../../proxy/session-source.ts';
import { CallerSessions } from '../../../proxy/sessions/caller-sessions.ts';
import { SessionIds } from '../../../proxy/sessions/session-ids.ts';
import { until } from '../../support/until.ts';
import { exchange } from './raw-client.ts';
import { ensureSystemNamespace } from './sessions.ts';

export interface GatewayOptions {
  client: KubeClient;
  readyTimeoutMs?: number;
  allowLoopbackPods?: boolean;
  user?: UserInfo;
  settings?: Partial<InvocationSettings>;
  /** Keys of one's own, apart from those of a cluster that runs on the same control plane. */
  keyNamespace?: string;
  audit?: AuditLog;
  /** Plain HTTP/1.1 when absent. */
  tls?: ServingTls;
  /** What calls see of the sessions; all there is, at once, when absent. */
  seen?: (sessions: SandboxSource) => SandboxSource;
}

/** The whole proxy but for authentication and authorisation: everybody is one user who may do everything. */
export interface TestGateway {
  port: number;
  path: InvocationPath;
  registry: Registry;
  /** One request for a session, over a connection of its own. */
  call(namespace: string, name: string, options?: CallOptions): Promise<string>;
  stop(): Promise<void>;
}

export interface CallOptions {
  method?: string;
  /** What follows `/proxy`. */
  target?: string;
  headers?: string[];
  body?: string;
}

export async function startGateway(options: GatewayOptions): Promise<TestGateway> {
  const { client, readyTimeoutMs, allowLoopbackPods = true } = options;
  await ensureSystemNamespace(client);
  const log = createLog({ level: 'error' });
  const registry = new Registry();
  const sandboxes = new SessionInformer({ client, log });
  const path = createInvocationPath({
    client,
    sandboxes: options.seen?.(sandboxes) ?? sandboxes,
    transitions: sandboxes,
    allowLoopbackPods,
    registry,
    log,
    settings: { ...(readyTimeoutMs === undefined ? {} : { readyTimeoutMs }), ...options.settings },
    ...(options.audit === undefined ? {} : { audit: options.audit }),
    ...(options.keyNamespace === undefined ? {} : { keyNamespace: options.keyNamespace }),
  });
  const user = options.user ?? { username: 'alice', groups: [] };
  const caller: Caller = { user, credential: { kind: 'asserted' } };
  const access = { authenticate: async () => caller, authorize: async () => undefined };
  const ids = new SessionIds(sandboxes);
  const agentcube = {
    access,
    invocations: path,
    ids,
    sessions: new CallerSessions({ client, inFlight: path.inFlight, registry }),
    log,
  };
  const gateway = new Gateway({
    access,
    invocations: path,
    agentcube: new AgentCubeRouter(agentcube),
    control: controlRoutes([jwksRoutes(path.keys), workloadManagerRoutes({ ...agentcube, ready: path.ready })], log),
    log,
  });
  sandboxes.start();
  path.start();
  const listener = await Listener.open({
    address: '127.0.0.1',
    port: 0,
    tls: options.tls,
    largestHeadersBytes: 64 * 1024,
    mostStreams: 1000,
    onRequest: (request, response, sendContinue) => void gateway.handle(request, response, sendContinue),
    onUpgrade: (request, socket, head) => void gateway.handleUpgrade(request, socket, head),
  });
  await until('the gateway to be ready', () => path.ready.every((probe) => probe.check() === undefined), {
    seen: () => path.ready.map((probe) => probe.check()),
  });
  return {
    port: listener.port,
    path,
    registry,
    call: (namespace, name, call = {}) => exchange(listener.port, requestText(namespace, name, call)),
    stop: async () => {
      await listener.stop({ graceMs: 0 });
      ids.stop();
      await path.stop();
      await sandboxes.stop();
    },
  };
}

/** The bytes of a request for a session that ends its connection. */
export function requestText(namespace: string, name: string, { method, target, headers, body }: CallOptions): string {
  const path = `/apis/sojourn.dev/v1alpha1/namespaces/${namespace}/sessions/${name}/proxy${target ?? '/'}`;
  const length = body === undefined ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  const lines = [`${method ?? 'GET'} ${path} HTTP/1.1`, 'Host: proxy', 'Connection: close', ...length];
  return `${[...lines, ...(headers ?? [])].join('\r\n')}\r\n\r\n${body ?? ''}`;
}
