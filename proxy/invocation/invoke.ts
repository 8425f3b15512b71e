import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Agent } from 'undici';
import { ApiError, hasReason } from '../../apis/machinery/errors.ts';
import type { ClientRequest, ClientResponse } from '../../apis/runtime/listener.ts';
import { bodyLimitBytes, daemonPort } from '../../apis/wire/daemon.ts';
import { originOf } from './addresses.ts';
import type { Credentials } from './credentials.ts';
import type { Directory, Location } from './directory.ts';
import { chooseEndpoint } from './endpoints.ts';
import { aboutSession, notFound } from './errors.ts';
import { hasBody, isGone } from './exchange.ts';
import { type ForwardCall, type ForwardEnd, forward } from './forward.ts';
import type { Arrival, Ledger, OpenCall } from './ledger.ts';
import type { InvocationKind } from './metrics.ts';
import { sandboxPath } from './raw-path.ts';
import { checkAnnouncedLength, RequestBody } from './request-body.ts';
import type { SessionRecord } from './session-record.ts';
import type { TokenUser } from './tokens.ts';
import { forwardUpgrade, type UpgradeEnd } from './upgrade.ts';

/**
 * One more attempt for each reason why none reached the sandbox's program: a daemon that is started again is first not there,
 * and then does not know our keys.
 */
const repeats = { unreachable: 1, 'unknown-key': 1 } as const;

/** The front that a call came through: our own path, AgentCube's, or kube-apiserver and its aggregation. */
export type RouteKind = 'native' | 'agentcube' | 'aggregated';

/** Who calls: what the sandbox is told, and the groups for the audit. */
export interface InvocationUser extends TokenUser {
  groups?: readonly string[] | undefined;
}

/** An authorised request for a session. */
export interface Invocation {
  route: RouteKind;
  /** What was authorised on sessions/proxy. */
  verb: string;
  namespace: string;
  name: string;
  /** uid of the session that is meant; whichever has the name when absent. */
  uid?: string;
  /** What follows `/proxy` in the request line: raw path and query. */
  target: string;
  user: InvocationUser;
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

/** Use of a session for as long as a call lasts. */
export interface Lease {
  end(): void;
}

/** Where the use of sessions is noted. */
export interface UseOfSessions {
  /** @throws ApiError Gone when the session's time is over. */
  begin(record: SessionRecord): Lease | Promise<Lease>;
  /** A call waits for a session to start, which is no use of it. */
  wait(record: SessionRecord): Lease;
}

export interface InvokerOptions {
  directory: Directory;
  credentials: Credentials;
  activity: UseOfSessions;
  ledger: Ledger;
  dispatcher: Agent;
  /** How long a call waits for a session that is not ready yet. */
  readyTimeoutMs: number;
  /** How long a sandbox may take until its answer begins. */
  answerTimeoutMs: number;
}

/** Who waits for the answer. */
interface Client {
  /** Closed when it leaves. */
  connection: ClientResponse | Duplex;
  isGone: () => boolean;
}

type Unreachable = Extract<ForwardEnd, { kind: 'unreachable' }>;

/** Where one attempt goes and what it shows there. */
interface Route {
  origin: string;
  path: string;
  authorization: string | undefined;
  sessionId: string;
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
    await this.#accounted('request', { call, request }, async (open) => {
      checkAnnouncedLength(request, bodyLimitBytes);
      const body = hasBody(request)
        ? new RequestBody({ request, limitBytes: bodyLimitBytes, traffic: open.traffic, onWanted: call.sendContinue })
        : undefined;
      const canRepeat = () => body?.begun !== true;
      const client = { connection: response, isGone: () => isGone(response) };
      return await this.#attempt(call, { client, open, canRepeat }, async (route) => {
        const { answerTimeoutMs, dispatcher } = this.#options;
        return await forward(dispatcher, { ...route, ...hooks(open), request, response, body, answerTimeoutMs });
      });
    });
  }

  /** As {@link invoke}, for a request that asks for another protocol. Resolves when the connection is over. */
  async invokeUpgrade(call: UpgradeInvocation): Promise<void> {
    const { request, socket, head } = call;
    await this.#accounted('upgrade', { call, request }, async (open) => {
      const client = { connection: socket, isGone: () => socket.destroyed };
      return await this.#attempt(call, { client, open, canRepeat: () => true }, async (route) => {
        return await forwardUpgrade({ ...route, ...hooks(open), request, socket, head });
      });
    });
  }

  /** Runs a call and keeps its account, however it ends. */
  async #accounted(
    kind: InvocationKind,
    arrival: Omit<Arrival, 'kind'>,
    run: (open: OpenCall) => Promise<ForwardEnd | UpgradeEnd>,
  ): Promise<void> {
    const open = this.#options.ledger.open({ kind, ...arrival });
    try {
      open.admit();
      const end = await run(open);
      if (end.kind === 'answered' || end.kind === 'cut') open.close(end.code, end.kind);
      else open.close(('code' in end ? end.code : undefined) ?? 0, 'client-gone');
    } catch (error) {
      if (error instanceof ClientGone) return open.close(0, 'client-gone');
      open.close(error instanceof ApiError ? error.code : 500, 'refused');
      const { namespace, name } = arrival.call;
      const session = this.#options.directory.find(namespace, name)?.session;
      throw error instanceof ApiError && session !== undefined ? aboutSession(error, session) : error;
    }
  }

  /** Runs attempts until one has an end that is none of ours to repair. The session is in use meanwhile. */
  async #attempt(
    call: Invocation,
    { client, open, canRepeat }: { client: Client; open: OpenCall; canRepeat: () => boolean },
    send: (route: Route) => Promise<ForwardEnd | UpgradeEnd>,
  ): Promise<ForwardEnd | UpgradeEnd> {
    const path = sandboxPath(call.target);
    let used: { sandboxUid: string; lease: Lease } | undefined;
    // While a call waits, its session may end and another one take the name.
    const meant = (record: SessionRecord) => {
      const { uid } = record.session.metadata;
      if (call.uid !== undefined && uid !== call.uid) throw notFound(call.name);
      open.sessionUid = uid;
    };
    const use = async (record: SessionRecord) => {
      meant(record);
      if (used?.sandboxUid === record.sandboxUid) return;
      used?.lease.end();
      used = undefined;
      used = { sandboxUid: record.sandboxUid, lease: await this.#options.activity.begin(record) };
    };
    try {
      const left: Record<keyof typeof repeats, number> = { ...repeats };
      for (;;) {
        let location = await this.#locate(call, client, meant);
        const isFirstUse = used?.sandboxUid !== location.record.sandboxUid;
        await use(location.record);
        // Its use may have had to be written first, and somebody may have suspended it before that.
        if (isFirstUse) location = await this.#locate(call, client, meant);
        const route = await this.#routeOrFailure(location, call.user, path);
        open.throwIfInterrupted();
        const end = 'kind' in route ? route : await send(route);
        if (end.kind === 'unknown-key') this.#options.credentials.keyRefused(location.podUid);
        else if (end.kind !== 'unreachable') return end;
        open.throwIfInterrupted();
        if (left[end.kind] > 0 && canRepeat()) {
          left[end.kind] -= 1;
          continue;
        }
        if (end.kind === 'unknown-key') throw keyNotReady();
        // Where our daemon belongs and nothing listens, it is being started again in its Pod.
        throw location.record.authMode === 'sojourn' ? daemonRestarting(end.error) : end.error;
      }
    } finally {
      used?.lease.end();
    }
  }

  /** A Pod that does not take our keys is as good as one that nobody can reach: nothing of the request was sent. */
  async #routeOrFailure(location: Location, user: TokenUser, path: string): Promise<Route | Unreachable> {
    try {
      return await this.#route(location, user, path);
    } catch (error) {
      if (hasReason(error, 'UpstreamFailed', 'UpstreamTimeout')) return { kind: 'unreachable', error };
      throw error;
    }
  }

  async #route(location: Location, user: TokenUser, path: string): Promise<Route> {
    const { session } = location.record;
    const endpoint = chooseEndpoint(session.status?.endpoints ?? [], path) ?? { port: daemonPort, protocol: 'HTTP' };
    const authorization = await this.#options.credentials.authorization(location, user);
    return {
      origin: originOf(location.address, endpoint),
      path,
      authorization,
      sessionId: session.metadata.uid ?? '',
    };
  }

  /** Where the session is; a session that is on its way is waited for, as long as the client does so too. */
  async #locate(
    { namespace, name }: Invocation,
    client: Client,
    meant: (record: SessionRecord) => void,
  ): Promise<Location> {
    const { activity, directory, readyTimeoutMs } = this.#options;
    const known = directory.ifReady(namespace, name);
    if (known !== undefined) return known;
    const record = directory.find(namespace, name);
    if (record !== undefined && isStarting(record)) meant(record);
    // Its "close" would not come a second time.
    if (client.isGone()) throw new ClientGone();
    const gone = new AbortController();
    const onClose = () => gone.abort(new ClientGone());
    client.connection.once('close', onClose);
    // Somebody waits for it, so it must not be idled away while it starts.
    const waiting = record === undefined ? undefined : activity.wait(record);
    try {
      return await directory.waitUntilReady(namespace, name, { timeoutMs: readyTimeoutMs, signal: gone.signal });
    } finally {
      waiting?.end();
      client.connection.off('close', onClose);
    }
  }
}

/** What whoever carries a call tells its account. */
function hooks(open: OpenCall): Pick<ForwardCall, 'traffic' | 'onFirstByte' | 'onInterruptible'> {
  return {
    traffic: open.traffic,
    onFirstByte: () => open.firstByte(),
    onInterruptible: (interrupt) => open.carried(interrupt),
  };
}

function isStarting({ session }: SessionRecord): boolean {
  return session.status?.phase === 'Pending' || session.status?.phase === 'Resuming';
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
