import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { ApiError, hasReason } from '../../apis/machinery/errors.ts';
import { group, resource, version } from '../../apis/names.ts';
import type { ClientRequest, ClientResponse } from '../../apis/runtime/listener.ts';
import type { Log } from '../../apis/runtime/log.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { Access } from '../access/access.ts';
import type { Caller } from '../access/caller.ts';
import type { UserInfo } from '../access/user.ts';
import type { EndedKey } from '../invocation/endings/tombstones.ts';
import { aboutSession } from '../invocation/errors.ts';
import type { InvocationPath } from '../invocation/invocation-path.ts';
import type { Invocation } from '../invocation/invoke.ts';
import type { InvocationKind } from '../invocation/metrics.ts';
import { rejectUpgrade, respondError } from '../invocation/respond.ts';
import type { SessionRecord } from '../invocation/session-record.ts';
import { upgradeVerb, verbOf } from '../route.ts';
import type { CallerSessions } from '../sessions/caller-sessions.ts';
import type { SessionIds } from '../sessions/session-ids.ts';
import { type AuthorizationSentences, authenticate } from './authorization.ts';
import { isRuntimeNotFound, routerFormat, runtimeNotFound, sessionNotFound } from './errors.ts';
import { checkRouterRoute, type RouterRoute } from './route.ts';
import { isSessionId, sessionIdOf } from './session-id.ts';

const unauthorized: AuthorizationSentences = {
  missing: 'missing authorization header',
  malformed: 'invalid authorization header format',
  empty: 'empty bearer token',
  refused: 'invalid or expired token',
};

export interface AgentCubeRouterOptions {
  access: Access;
  invocations: Pick<InvocationPath, 'invoke' | 'invokeUpgrade' | 'refuse' | 'ended'>;
  ids: SessionIds;
  sessions: CallerSessions;
  log: Log;
}

/**
 * AgentCube's Router: a call that names a session by its header is an invocation of it, one that names none creates one
 * first. Unlike there, a session serves only under the namespace, kind and name of its own runtime, every method is
 * served, and the answer to a call whose session is known says so whatever its status.
 */
export class AgentCubeRouter {
  readonly #options: AgentCubeRouterOptions;

  constructor(options: AgentCubeRouterOptions) {
    this.#options = options;
  }

  /** Answers a request in either HTTP version; never rejects. */
  async handle(
    route: RouterRoute,
    request: ClientRequest,
    response: ClientResponse,
    sendContinue?: () => void,
  ): Promise<void> {
    const { invocations, log } = this.#options;
    try {
      await this.#invoke(route, request, { kind: 'request', verb: verbOf(request.method ?? '') }, async (call) => {
        await invocations.invoke({
          ...call,
          request,
          response,
          ...(sendContinue === undefined ? {} : { sendContinue }),
        });
      });
    } catch (error) {
      respondError(request, response, error, log, routerFormat);
    }
  }

  /** Answers a request for another protocol; never rejects. */
  async handleUpgrade(route: RouterRoute, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { invocations, log } = this.#options;
    try {
      await this.#invoke(route, request, { kind: 'upgrade', verb: upgradeVerb }, async (call) => {
        await invocations.invokeUpgrade({ ...call, request, socket, head });
      });
    } catch (error) {
      rejectUpgrade(socket, error, log, routerFormat);
    }
  }

  async #invoke(
    written: RouterRoute,
    request: ClientRequest,
    { kind, verb }: { kind: InvocationKind; verb: string },
    send: (call: Invocation) => Promise<void>,
  ): Promise<void> {
    const route = checkRouterRoute(written);
    const { access, invocations } = this.#options;
    let caller: Caller | undefined;
    let session: Session;
    try {
      caller = await authenticate(access, request, unauthorized);
      session = await this.#session(caller, route, verb, sessionIdOf(request.rawHeaders));
    } catch (error) {
      const call = { route: 'agentcube', verb, namespace: route.namespace, name: '' } as const;
      invocations.refuse({ ...call, kind, user: caller?.user, request, error });
      throw error;
    }
    const { namespace = '', name = '', uid = '' } = session.metadata;
    const { target } = route;
    try {
      await send({ route: 'agentcube', verb, namespace, name, uid, target, user: caller.user });
    } catch (error) {
      // Between our look and the invocation's the session went away.
      const described = hasReason(error, 'NotFound') ? await this.#absent(route, uid) : error;
      throw described instanceof ApiError ? aboutSession(described, session) : described;
    }
  }

  async #session(caller: Caller, route: RouterRoute, verb: string, id: string | undefined): Promise<Session> {
    return id === undefined ? await this.#create(caller, route, verb) : await this.#find(caller, route, verb, id);
  }

  /** The session of an id, if it fits the path and the caller may. Who may not is told the same whether it exists or not. */
  async #find({ user }: Caller, route: RouterRoute, verb: string, id: string): Promise<Session> {
    const { ids } = this.#options;
    const isId = isSessionId(id);
    const known = fitting(isId ? ids.find(id) : undefined, route);
    if (known !== undefined) return await this.#admitted(user, route, verb, known);
    await this.#authorize(user, route, verb, undefined);
    if (!isId) throw sessionNotFound(id);
    // One that was seen to end is not waited for.
    const isOver = this.#options.invocations.ended.saw(route.namespace, endedKey(route, id));
    // One of another runtime's is absent here, and takes as long.
    const admits = async (record: SessionRecord) => fitting(record, route) !== undefined;
    const asker = { username: user.username, admits };
    const appeared = isOver ? undefined : fitting(await ids.await(id, asker), route);
    if (appeared === undefined) throw await this.#absent(route, id);
    return await this.#admitted(user, route, verb, appeared);
  }

  /** The 410 of a session of this path's runtime that has ended, the 404 of any other. AgentCube's clients begin anew with either. */
  async #absent(route: RouterRoute, id: string): Promise<ApiError> {
    const { ended } = this.#options.invocations;
    return (await ended.find(route.namespace, endedKey(route, id))) ?? sessionNotFound(id);
  }

  async #admitted(user: UserInfo, route: RouterRoute, verb: string, session: Session): Promise<Session> {
    await this.#authorize(user, route, verb, session.metadata.name);
    return session;
  }

  /** A session for a call that names none. It stays when the client leaves meanwhile: its idle timeout ends it. */
  async #create(caller: Caller, route: RouterRoute, verb: string): Promise<Session> {
    const { namespace, kind, runtime } = route;
    await this.#authorize(caller.user, route, verb, undefined);
    try {
      return await this.#options.sessions.create(caller, namespace, { kind, name: runtime });
    } catch (error) {
      throw isRuntimeNotFound(error) ? runtimeNotFound(namespace, { kind, name: runtime }) : error;
    }
  }

  async #authorize(user: UserInfo, { namespace }: RouterRoute, verb: string, name: string | undefined): Promise<void> {
    const attributes = { verb, group, version, resource, subresource: 'proxy', namespace };
    try {
      await this.#options.access.authorize(user, { ...attributes, ...(name === undefined ? {} : { name }) });
    } catch (error) {
      if (!hasReason(error, 'Forbidden')) throw error;
      const who = `User ${JSON.stringify(user.username)} cannot ${verb} resource "${resource}/proxy"`;
      throw new ApiError('Forbidden', `${who} in API group "${group}" in the namespace "${namespace}"`, {
        cause: error,
      });
    }
  }
}

function endedKey({ kind, runtime }: RouterRoute, uid: string): EndedKey {
  return { uid, runtimeRef: { kind, name: runtime } };
}

/** The session of a record, if it is one of this path's runtime. */
function fitting(record: SessionRecord | undefined, { namespace, kind, runtime }: RouterRoute): Session | undefined {
  if (record === undefined || record.session.metadata.namespace !== namespace) return undefined;
  // A session whose document is broken has no spec.
  const ref: Session['spec']['runtimeRef'] | undefined = record.session.spec.runtimeRef;
  return ref?.kind === kind && ref.name === runtime ? record.session : undefined;
}
