import { Registry } from 'prom-client';
import type { KubeClient } from '../../../apis/client/transport.ts';
import { Listener } from '../../../apis/runtime/listener.ts';
import { createLog } from '../../../apis/runtime/log.ts';
import type { UserInfo } from '../../../proxy/access/user.ts';
import { Gateway } from '../../../proxy/gateway.ts';
import { createInvocationPath, type InvocationPath } from '../../../proxy/invocation/invocation-path.ts';
import { SessionInformer } from '../../../proxy/session-source.ts';
import { until } from '../../support/until.ts';
import { exchange } from './raw-client.ts';
import { ensureSystemNamespace } from './sessions.ts';

export interface GatewayOptions {
  client: KubeClient;
  readyTimeoutMs?: number;
  allowLoopbackPods?: boolean;
  user?: UserInfo;
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
    sandboxes,
    allowLoopbackPods,
    registry,
    log,
    ...(readyTimeoutMs === undefined ? {} : { readyTimeoutMs }),
  });
  const user = options.user ?? { username: 'alice', groups: [] };
  const access = { authenticate: async () => user, authorize: async () => undefined };
  const gateway = new Gateway({ access, invocations: path, log });
  sandboxes.start();
  path.start();
  const listener = await Listener.open({
    address: '127.0.0.1',
    port: 0,
    tls: undefined,
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
