import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { Agent } from 'undici';
import { ApiError } from '../../apis/machinery/errors.ts';
import type { ClientRequest, ClientResponse } from '../../apis/runtime/listener.ts';
import { bodyLimitBytes, daemonPort } from '../../apis/wire/daemon.ts';
import { originOf } from './addresses.ts';
import type { Credentials } from './credentials.ts';
import type { Directory, Location } from './directory.ts';
import { chooseEndpoint } from './endpoints.ts';
import { aboutSession } from './errors.ts';
import { hasBody } from './exchange.ts';
import { type ForwardEnd, forward } from './forward.ts';
import type { InvocationKind, InvocationMetrics, Measurement } from './metrics.ts';
import { sandboxPath } from './raw-path.ts';
import { checkAnnouncedLength, RequestBody } from './request-body.ts';
import type { TokenUser } from './tokens.ts';
import { forwardUpgrade, type UpgradeEnd } from './upgrade.ts';

/** How long a connection to a sandbox may take. */
const connectTimeoutMs = 5_000;
/** One more attempt, when the first one never reached the sandbox's program. */
const attempts = 2;

/** An authorised request for a session. */
export interface Invocation {
  namespace: string;
  name: string;
  /** What follows `/proxy` in the request line: raw path and query. */
  target: string;
  user: TokenUser;
}

export interface RequestInvocation extends Invocation {
  request: ClientRequest;
  response: ClientResponse;
  /** Sends `100 Continue`; given by a front that leaves `Expect: 100-continue` to be answered when the body is wanted. */
  sendContinue?: () => void;
}

export interface UpgradeInvocation extends Invocation {
  request: IncomingMessage;
  socket: Duplex;
  /** What the client sent after its request. */
  head: Buffer;
}

export interface InvokerOptions {
  directory: Directory;
  credentials: Credentials;
  metrics: InvocationMetrics;
  dispatcher: Agent;
  /** How long a call waits for a session that is not ready yet. */
  readyTimeoutMs: number;
  /** How long a sandbox may take until its answer begins. */
  answerTimeoutMs: number;
}

/** Where one attempt goes and what it shows there. */
interface Route {
  location: Location;
  origin: string;
  path: string;
  authorization: string | undefined;
  sessionId: string;
}

/** Connections to sandboxes: kept for a while, as many as there are calls, HTTP/1.1 only. */
export function createSandboxAgent(): Agent {
  return new Agent({
    allowH2: false,
    pipelining: 1,
    keepAliveTimeout: 4_000,
    // A Pod is known by its address, which kubelet reports; a certificate in it could not say more.
    connect: { timeout: connectTimeoutMs, rejectUnauthorized: false },
  });
}

/** Carries requests into sandboxes, for any front: it finds, waits, signs, forwards, measures. */
export class Invoker {
  readonly #options: InvokerOptions;

  constructor(options: InvokerOptions) {
    this.#options = options;
  }

  /**
   * Answers a request by the session's sandbox. Resolves when the answer is over, however it ended.
   * @throws ApiError, with the session in its details once it is known, as long as no header has been sent.
   */
  async invoke(call: RequestInvocation): Promise<void> {
    const { request, response } = call;
    await this.#measured('request', call, async (measurement) => {
      checkAnnouncedLength(request, bodyLimitBytes);
      const body = hasBody(request)
        ? new RequestBody({ request, limitBytes: bodyLimitBytes, onWanted: call.sendContinue })
        : undefined;
      const canRepeat = () => body?.begun !== true;
      return await this.#attempt(call, response, canRepeat, async (route) => {
        const { answerTimeoutMs, dispatcher } = this.#options;
        const onFirstByte = () => measurement.firstByte();
        return await forward(dispatcher, { ...route, request, response, body, answerTimeoutMs, onFirstByte });
      });
    });
  }

  /** As {@link invoke}, for a request that asks for another protocol. Resolves when the connection is over. */
  async invokeUpgrade(call: UpgradeInvocation): Promise<void> {
    const { request, socket, head } = call;
    await this.#measured('upgrade', call, async (measurement) =>
      this.#attempt(
        call,
        socket,
        () => true,
        async (route) =>
          await forwardUpgrade({ ...route, request, socket, head, onFirstByte: () => measurement.firstByte() }),
      ),
    );
  }

  async #measured(
    kind: InvocationKind,
    { namespace, name }: Invocation,
    run: (measurement: Measurement) => Promise<ForwardEnd | UpgradeEnd>,
  ): Promise<void> {
    const { metrics, directory } = this.#options;
    const measurement = metrics.begin(kind);
    try {
      const end = await run(measurement);
      if (end.kind === 'answered' || end.kind === 'cut') measurement.end(end.code, end.kind);
      else measurement.end(('code' in end ? end.code : undefined) ?? 0, 'client-gone');
    } catch (error) {
      if (error instanceof ClientGone) return measurement.end(0, 'client-gone');
      measurement.end(error instanceof ApiError ? error.code : 500, 'refused');
      const session = directory.find(namespace, name)?.session;
      throw error instanceof ApiError && session !== undefined ? aboutSession(error, session) : error;
    }
  }

  /** Runs attempts until one has an end that is none of ours to repair. */
  async #attempt(
    call: Invocation,
    client: ClientResponse | Duplex,
    canRepeat: () => boolean,
    send: (route: Route) => Promise<ForwardEnd | UpgradeEnd>,
  ): Promise<ForwardEnd | UpgradeEnd> {
    const path = sandboxPath(call.target);
    for (let attempt = 1; ; attempt += 1) {
      const route = await this.#route(call, path, client);
      const end = await send(route);
      if (end.kind === 'unknown-key') this.#options.credentials.keyRefused(route.location.podUid);
      else if (end.kind !== 'unreachable') return end;
      if (attempt < attempts && canRepeat()) continue;
      if (end.kind === 'unknown-key') throw keyNotReady();
      // Where our daemon belongs and nothing listens, it is being started again in its Pod.
      throw route.location.record.authMode === 'sojourn' ? daemonRestarting(end.error) : end.error;
    }
  }

  async #route(call: Invocation, path: string, client: ClientResponse | Duplex): Promise<Route> {
    const location = await this.#locate(call, client);
    const { session } = location.record;
    const endpoint = chooseEndpoint(session.status?.endpoints ?? [], path) ?? { port: daemonPort, protocol: 'HTTP' };
    const authorization = await this.#options.credentials.authorization(location, call.user);
    return {
      location,
      origin: originOf(location.address, endpoint),
      path,
      authorization,
      sessionId: session.metadata.uid ?? '',
    };
  }

  /** Where the session is; a session that is on its way is waited for, as long as the client does so too. */
  async #locate({ namespace, name }: Invocation, client: ClientResponse | Duplex): Promise<Location> {
    const { directory, readyTimeoutMs } = this.#options;
    const known = directory.ifReady(namespace, name);
    if (known !== undefined) return known;
    // Its "close" would not come a second time.
    if (client.destroyed) throw new ClientGone();
    const gone = new AbortController();
    const onClose = () => gone.abort(new ClientGone());
    client.once('close', onClose);
    try {
      return await directory.waitUntilReady(namespace, name, { timeoutMs: readyTimeoutMs, signal: gone.signal });
    } finally {
      client.off('close', onClose);
    }
  }
}

/** The client left before there was anywhere to send its request. */
class ClientGone extends Error {}

function daemonRestarting(cause: ApiError): ApiError {
  const message = 'the daemon of the sandbox cannot be reached, it may be starting again; try again';
  return new ApiError('SessionNotReady', message, { cause, retryAfterSeconds: 1 });
}

function keyNotReady(): ApiError {
  const message = 'the sandbox had to be given the signing keys again; send the request again';
  return new ApiError('KeyNotReady', message, { retryAfterSeconds: 1 });
}
