import { isIPv6 } from 'node:net';
import Router, { type RouterContext } from '@koa/router';
import { ApiError, asApiError, hasReason } from '../../apis/machinery/errors.ts';
import { dnsLabelProblems } from '../../apis/machinery/names.ts';
import { group, resource, version } from '../../apis/names.ts';
import type { Log } from '../../apis/runtime/log.ts';
import type { Probe } from '../../apis/runtime/operations.ts';
import type { RuntimeKind, Session, SessionSpec } from '../../apis/v1alpha1/types.ts';
import type { Access } from '../access/access.ts';
import type { Caller } from '../access/caller.ts';
import type { ControlState } from '../control.ts';
import type { Location } from '../invocation/directory.ts';
import { isGone } from '../invocation/exchange.ts';
import type { InvocationPath } from '../invocation/invocation-path.ts';
import { respondError } from '../invocation/respond.ts';
import type { SessionRecord } from '../invocation/session-record.ts';
import type { CallerSessions } from '../sessions/caller-sessions.ts';
import type { SessionIds } from '../sessions/session-ids.ts';
import { type AuthorizationSentences, authenticate } from './authorization.ts';
import { readJsonObject } from './control-body.ts';
import { isRuntimeNotFound, workloadManagerFormat } from './errors.ts';
import { isRuntimeName } from './route.ts';
import { isSessionId } from './session-id.ts';

/** How long AgentCube lets a sandbox take until it is ready. */
const creationTimeoutMs = 120_000;

const unauthorized: AuthorizationSentences = {
  missing: 'Missing authorization header',
  malformed: 'Invalid authorization header format',
  empty: 'Invalid authorization header format',
  refused: 'Invalid or expired token',
};

/** AgentCube's path of each runtime kind, and its name for one that is missing. */
const kinds: readonly { kind: RuntimeKind; path: string; missing: string }[] = [
  { kind: 'AgentRuntime', path: 'agent-runtime', missing: 'agent runtime not found' },
  { kind: 'CodeInterpreter', path: 'code-interpreter', missing: 'code interpreter not found' },
];

export interface WorkloadManagerOptions {
  access: Access;
  invocations: Pick<InvocationPath, 'waitUntilReady'>;
  ids: SessionIds;
  sessions: CallerSessions;
  ready: readonly Probe[];
  log: Log;
  /** How long a new session may take to become ready; AgentCube's two minutes when absent. */
  timeoutMs?: number;
}

/**
 * AgentCube's WorkloadManager and the health paths of its two programs, as control routes. Creating and deleting is done
 * with the caller's own rights by kube-apiserver. `ttl` of a creation is ignored, as AgentCube does: its SDK sends an hour
 * whether or not its user asked for one, and sessions that live eight there must not end after one here.
 */
export function workloadManagerRoutes(options: WorkloadManagerOptions): Router {
  const router = new Router();
  router.get('/health', (ctx) => {
    ctx.body = { status: 'healthy' };
  });
  router.get('/health/live', (ctx) => {
    ctx.body = { status: 'alive' };
  });
  router.get('/health/ready', (ctx) => {
    const problem = options.ready.map((probe) => probe.check()).find((text) => text !== undefined);
    ctx.status = problem === undefined ? 200 : 503;
    ctx.body = problem === undefined ? { status: 'ready' } : { status: 'not ready', error: problem };
  });
  const manager = new WorkloadManager(options);
  for (const { kind, path, missing } of kinds) {
    router.post(`/v1/${path}`, (ctx) =>
      manager.answer(ctx, async (caller) => await manager.create(ctx, caller, { kind, missing })),
    );
    router.delete(`/v1/${path}/sessions/:id`, (ctx) =>
      manager.answer(ctx, async (caller) => await manager.delete(caller, kind, String(ctx.params.id))),
    );
  }
  return router;
}

class WorkloadManager {
  readonly #options: WorkloadManagerOptions;

  constructor(options: WorkloadManagerOptions) {
    this.#options = options;
  }

  /** Answers with what `act` returns for an authenticated caller, or with its error in AgentCube's format. */
  async answer(ctx: RouterContext, act: (caller: Caller) => Promise<object>): Promise<void> {
    try {
      ctx.body = await act(await authenticate(this.#options.access, ctx.req, unauthorized));
    } catch (error) {
      ctx.respond = false;
      respondError(ctx.req, ctx.res, error, this.#options.log, workloadManagerFormat);
    }
  }

  async create(
    ctx: RouterContext,
    caller: Caller,
    { kind, missing }: { kind: RuntimeKind; missing: string },
  ): Promise<object> {
    const { namespace, name } = checkCreation(await readJsonObject(ctx.req, (ctx.state as ControlState).sendContinue));
    const session = await this.#create(caller, namespace, { kind, name }, missing);
    const gone = new AbortController();
    const onClose = () => gone.abort(new ApiError('Timeout', 'the client went away'));
    ctx.res.once('close', onClose);
    try {
      if (isGone(ctx.res)) onClose();
      const ready = () => this.#ready(session, gone.signal);
      return describe(session, await this.#options.sessions.waiting(caller, session, ready));
    } catch (error) {
      // The client does not learn the id of the session, so nobody could use it or delete it.
      await this.#rollBack(caller, session);
      throw error;
    } finally {
      ctx.res.off('close', onClose);
    }
  }

  async delete(caller: Caller, kind: RuntimeKind, id: string): Promise<object> {
    const admits = async ({ session }: SessionRecord) => await this.#mayKnow(caller, session);
    const asker = { username: caller.user.username, admits };
    const record = isSessionId(id) ? await this.#options.ids.await(id, asker) : undefined;
    const ref: SessionSpec['runtimeRef'] | undefined = record?.session.spec.runtimeRef;
    if (record === undefined || ref?.kind !== kind) throw sessionMissing(id);
    try {
      await this.#options.sessions.delete(caller, record.session);
    } catch (error) {
      // A conflict is another session of the same name.
      if (hasReason(error, 'NotFound', 'Conflict')) throw sessionMissing(id);
      throw error;
    }
    return { message: 'Sandbox deleted successfully' };
  }

  async #create(caller: Caller, namespace: string, ref: SessionSpec['runtimeRef'], missing: string): Promise<Session> {
    try {
      return await this.#options.sessions.create(caller, namespace, ref);
    } catch (error) {
      throw isRuntimeNotFound(error) ? new ApiError('NotFound', missing) : error;
    }
  }

  async #ready({ metadata: { namespace = '', name = '' } }: Session, signal: AbortSignal): Promise<Location> {
    const { invocations, timeoutMs = creationTimeoutMs } = this.#options;
    try {
      // Its clients wait for creations; a cluster may have to grow meanwhile.
      return await invocations.waitUntilReady(namespace, name, { timeoutMs, troubledTimeoutMs: timeoutMs, signal });
    } catch (error) {
      if (!hasReason(error, 'SessionNotReady')) throw error;
      throw new ApiError('Timeout', 'sandbox creation timed out', { cause: error });
    }
  }

  async #rollBack(caller: Caller, session: Session): Promise<void> {
    try {
      await this.#options.sessions.delete(caller, session);
    } catch (error) {
      if (hasReason(error, 'NotFound')) return;
      const { namespace, name } = session.metadata;
      this.#options.log.warn('a session that nobody will use could not be deleted; it ends when it is idle', {
        namespace,
        name,
        error: asApiError(error),
      });
    }
  }

  /** Whether a caller may learn that a session exists: who may delete it, or see it. */
  async #mayKnow(caller: Caller, session: Session): Promise<boolean> {
    return (await this.#may(caller, 'delete', session)) || (await this.#may(caller, 'get', session));
  }

  async #may({ user }: Caller, verb: string, { metadata: { namespace, name } }: Session): Promise<boolean> {
    const where = { ...(namespace === undefined ? {} : { namespace }), ...(name === undefined ? {} : { name }) };
    try {
      await this.#options.access.authorize(user, { verb, group, version, resource, ...where });
      return true;
    } catch (error) {
      if (hasReason(error, 'Forbidden')) return false;
      throw error;
    }
  }
}

/** What a creation must say; every other field is ignored, as AgentCube does. @throws ApiError BadRequest. */
function checkCreation({ namespace = '', name = '' }: Record<string, unknown>): { namespace: string; name: string } {
  if (namespace === '') throw new ApiError('BadRequest', 'namespace is required');
  if (name === '') throw new ApiError('BadRequest', 'name is required');
  if (typeof namespace !== 'string' || dnsLabelProblems(namespace).length > 0) {
    throw new ApiError('BadRequest', 'Invalid request body: namespace is not a name of a namespace');
  }
  if (typeof name !== 'string' || !isRuntimeName(name)) {
    throw new ApiError('BadRequest', 'Invalid request body: name is not a name of a runtime');
  }
  return { namespace, name };
}

function describe({ metadata }: Session, { record, address }: Location): object {
  return {
    kind: 'Sandbox',
    sessionId: metadata.uid,
    sandboxId: record.sandboxUid,
    sandboxName: metadata.name,
    entryPoints: (record.session.status?.endpoints ?? []).map(({ pathPrefix, port, protocol }) => ({
      path: pathPrefix,
      protocol,
      endpoint: `${hostOf(address)}:${port}`,
    })),
  };
}

/** An IP address as it stands before a port. */
function hostOf(address: string): string {
  return isIPv6(address) ? `[${address}]` : address;
}

function sessionMissing(id: string): ApiError {
  return new ApiError('NotFound', `Session ID ${id.slice(0, 128)} not found, maybe already deleted`);
}
