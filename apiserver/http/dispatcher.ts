import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { ApiError, asApiError } from '../../apis/machinery/errors.ts';
import type { ClientRequest, ClientResponse } from '../../apis/runtime/listener.ts';
import { type Probe, probeReport } from '../../apis/runtime/operations.ts';
import type { Authorizer } from '../../proxy/access/authorize.ts';
import { refuseImpersonation } from '../../proxy/access/impersonation.ts';
import type { UserInfo } from '../../proxy/access/user.ts';
import type { AuditLog } from '../../proxy/invocation/audit.ts';
import type { InvocationPath } from '../../proxy/invocation/invocation-path.ts';
import type { FrontProxyAuthenticator } from '../authentication/front-proxy.ts';
import type { Delegation } from '../authentication/on-behalf-of.ts';
import { reviewAttributes } from '../authentication/review-attributes.ts';
import type { DiscoveryHandler } from '../discovery/handler.ts';
import type { SessionHandler } from '../sessions/handler.ts';
import { notFound } from '../sessions/upstream-errors.ts';
import { sendBytes } from './exchange.ts';
import { RequestAudit } from './request-audit.ts';
import { parseRequest, type ResourceRequest, type Verb } from './request-info.ts';

/** A request and where its answer goes. */
export interface Exchange {
  request: ClientRequest;
  response: ClientResponse;
  /** Asks a client that waits for it to send its body. */
  sendContinue: (() => void) | undefined;
}

/** A request for another protocol on its connection. */
export interface Upgrade {
  request: IncomingMessage;
  socket: Duplex;
  head: Buffer;
}

export interface DispatcherOptions {
  authenticator: FrontProxyAuthenticator;
  delegation: Delegation;
  authorizer: Authorizer;
  audit: AuditLog;
  discovery: DiscoveryHandler;
  sessions: SessionHandler;
  invocations: Pick<InvocationPath, 'invoke' | 'invokeUpgrade'>;
  live: readonly Probe[];
  ready: readonly Probe[];
}

const healthPaths = new Set(['/healthz', '/livez', '/readyz']);

/** Who, may they, and then what: the order of every request. */
export class Dispatcher {
  readonly #options: DispatcherOptions;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  /** @throws ApiError before headers were sent. */
  async handle({ request, response, sendContinue }: Exchange): Promise<void> {
    const info = parseRequest(request.method ?? 'GET', request.url ?? '/');
    if (info.kind === 'nonresource' && healthPaths.has(info.path)) return this.#health(info.path, info.query, response);
    const { authenticator, delegation, discovery } = this.#options;
    // Discovery is constant and public in the source; it must answer even before kube-apiserver could be asked for the
    // front-proxy settings, or namespaces of the whole cluster could not be deleted meanwhile.
    if (info.kind === 'nonresource') {
      if (authenticator.configured)
        await delegation.resolve(authenticator.authenticate(request), info, request.rawHeaders);
      return discovery.handle(info.path, request, response);
    }
    const audit = new RequestAudit(this.#options.audit, { request, info });
    response.once('close', () => audit.close(response.headersSent ? response.statusCode : 0));
    try {
      await this.#serve({ request, response, sendContinue }, info, audit);
    } catch (error) {
      audit.failed(error);
      throw error;
    }
  }

  async #serve(
    { request, response, sendContinue }: Exchange,
    info: ResourceRequest,
    audit: RequestAudit,
  ): Promise<void> {
    const user = await this.#identify(request, info, audit);
    // Clients that come back all at once after a restart must not keep us from becoming ready by a review each.
    this.#requireReady();
    await this.#authorize(user, info);
    audit.allowed();
    if (info.subresource !== undefined) {
      const continuing = sendContinue === undefined ? {} : { sendContinue };
      const invocation = invocationOf(info);
      audit.handedOver();
      return await this.#options.invocations.invoke({
        ...invocation,
        ...continuing,
        route: 'aggregated',
        verb: info.verb,
        user,
        request,
        response,
      });
    }
    sendContinue?.();
    await this.#options.sessions.handle({
      ...{ info, user, request, response },
      authorizeAs: async (verb) => await this.#authorize(user, { ...info, verb }),
      onCreated: (metadata) => audit.created(metadata),
    });
  }

  /** An upgrade is a shell as much as a read: whatever its method has a right to, it needs `create` besides. */
  async handleUpgrade({ request, socket, head }: Upgrade): Promise<void> {
    const info = parseRequest(request.method ?? 'GET', request.url ?? '/');
    if (info.kind === 'nonresource') {
      this.#options.authenticator.authenticate(request);
      throw new ApiError('BadRequest', 'this path cannot be upgraded; send a plain request');
    }
    const audit = new RequestAudit(this.#options.audit, { request, info });
    try {
      const user = await this.#identify(request, info, audit);
      this.#requireReady();
      const verbs: Verb[] = info.subresource === undefined ? [info.verb] : [info.verb, 'create'];
      for (const verb of new Set(verbs)) await this.#authorize(user, { ...info, verb });
      audit.allowed();
      const invocation = invocationOf(info);
      audit.handedOver();
      await this.#options.invocations.invokeUpgrade({
        ...invocation,
        route: 'aggregated',
        verb: 'create',
        user,
        request,
        socket,
        head,
      });
    } catch (error) {
      audit.failed(error);
      audit.close(asApiError(error).code);
      throw error;
    }
  }

  async #identify(request: ClientRequest, info: ResourceRequest, audit: RequestAudit): Promise<UserInfo> {
    const { authenticator, delegation } = this.#options;
    const authenticated = authenticator.authenticate(request);
    audit.identified({ authenticated, effective: authenticated });
    refuseImpersonation(request.rawHeaders);
    const effective = await delegation.resolve(authenticated, info, request.rawHeaders);
    audit.identified({ authenticated, effective });
    return effective;
  }

  async #authorize(user: UserInfo, info: ResourceRequest): Promise<void> {
    await this.#options.authorizer.authorize(user, reviewAttributes(info));
  }

  /** Nothing is answered from a cache that is not there yet, nor without the guard of session data. */
  #requireReady(): void {
    for (const probe of this.#options.ready) {
      const problem = probe.check();
      if (problem === undefined) continue;
      throw new ApiError('ServiceUnavailable', `sessions are not served yet: ${problem}`, { retryAfterSeconds: 1 });
    }
  }

  #health(path: string, query: URLSearchParams, response: ClientResponse): void {
    const report = probeReport(path.slice(1), path === '/readyz' ? this.#options.ready : this.#options.live);
    const text = report.healthy && !query.has('verbose') ? 'ok' : report.text;
    sendBytes(response, report.healthy ? 200 : 503, Buffer.from(text), { 'content-type': 'text/plain; charset=utf-8' });
  }
}

function invocationOf(info: ResourceRequest): { namespace: string; name: string; target: string } {
  if (info.namespace === undefined || info.name === undefined) {
    throw new ApiError('NotFound', 'the server could not find the requested resource');
  }
  // Of a subresource that there is not, kube-apiserver says that the object is not there.
  if (info.subresource !== 'proxy') throw notFound(info.name);
  return {
    namespace: info.namespace,
    name: info.name,
    target: `${info.subpath === '' ? '/' : info.subpath}${info.rawQuery}`,
  };
}
