import type { ClientRequest, ClientResponse } from '../../../apis/runtime/listener.ts';
import { Listener } from '../../../apis/runtime/listener.ts';
import type { ListenerLimits } from '../../../apis/runtime/listener-limits.ts';
import { createLog } from '../../../apis/runtime/log.ts';
import { hasBody } from '../../../proxy/invocation/exchange.ts';
import { type ForwardEnd, forward } from '../../../proxy/invocation/forward.ts';
import { sandboxPath } from '../../../proxy/invocation/raw-path.ts';
import { checkAnnouncedLength, RequestBody } from '../../../proxy/invocation/request-body.ts';
import { rejectUpgrade, respondError } from '../../../proxy/invocation/respond.ts';
import { createSandboxAgent } from '../../../proxy/invocation/sandbox-agent.ts';
import { Traffic } from '../../../proxy/invocation/traffic.ts';
import { forwardUpgrade, type UpgradeEnd } from '../../../proxy/invocation/upgrade.ts';

export interface FrontOptions {
  /** `http://host:port` of the program behind. */
  upstream: string;
  tls?: { cert: Buffer; key: Buffer };
  authorization?: string;
  limitBytes?: number;
  answerTimeoutMs?: number;
  silenceMs?: number;
  handshakeTimeoutMs?: number;
  limits?: Partial<ListenerLimits>;
}

/** The proxy's own listener and forwarding in front of one program, without anything that asks Kubernetes. */
export interface Front {
  port: number;
  /** How every request ended so far, in the order of their ends; what was refused is its reason. */
  ends: (ForwardEnd['kind'] | UpgradeEnd['kind'] | string)[];
  /** Stops, but lets what is in flight end. */
  drain(): Promise<void>;
  stop(): Promise<void>;
}

export const sessionId = '0b1b2c3d-0000-5000-8000-000000000001';

export async function startFront(options: FrontOptions): Promise<Front> {
  const dispatcher = createSandboxAgent();
  const log = createLog({ level: 'error' });
  const ends: string[] = [];
  const traffic = new Traffic(() => undefined);
  const route = {
    origin: options.upstream,
    authorization: options.authorization,
    sessionId,
    traffic,
    onFirstByte: () => undefined,
    onInterruptible: () => undefined,
  };
  const { handshakeTimeoutMs } = options;
  const handshake = handshakeTimeoutMs === undefined ? {} : { handshakeTimeoutMs };
  const handle = async (request: ClientRequest, response: ClientResponse, sendContinue?: () => void) => {
    try {
      const limitBytes = options.limitBytes ?? 1 << 30;
      checkAnnouncedLength(request, limitBytes);
      const body = hasBody(request)
        ? new RequestBody({ request, limitBytes, traffic, silenceMs: options.silenceMs, onWanted: sendContinue })
        : undefined;
      const path = sandboxPath(request.url ?? '');
      const answerTimeoutMs = options.answerTimeoutMs ?? 10_000;
      const send = async () => await forward(dispatcher, { ...route, path, request, response, body, answerTimeoutMs });
      let end = await send();
      if (end.kind === 'unreachable' && body?.begun !== true) end = await send();
      if (end.kind === 'unreachable') throw end.error;
      ends.push(end.kind);
    } catch (error) {
      ends.push(error instanceof Error ? String((error as { reason?: string }).reason ?? error.message) : 'unknown');
      respondError(request, response, error, log);
    }
  };
  const listener = await Listener.open({
    address: '127.0.0.1',
    port: 0,
    tls: options.tls === undefined ? undefined : { ...options.tls, clientCertificates: 'ignore' },
    largestHeadersBytes: 64 * 1024,
    mostStreams: 1000,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    onRequest: (request, response, sendContinue) => void handle(request, response, sendContinue),
    onUpgrade: (request, socket, head) => {
      const call = { ...route, path: request.url ?? '', request, socket, head, ...handshake };
      forwardUpgrade(call).then(
        (end) => {
          if (end.kind === 'unreachable') rejectUpgrade(socket, end.error, log);
          ends.push(end.kind);
        },
        (error: unknown) => rejectUpgrade(socket, error, log),
      );
    },
  });
  return {
    port: listener.port,
    ends,
    drain: async () => await listener.stop({ graceMs: 10_000 }),
    stop: async () => {
      await listener.stop({ graceMs: 0 });
      await dispatcher.destroy();
    },
  };
}
