import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { ApiError } from '../../apis/machinery/errors.ts';
import { group, resource, version } from '../../apis/names.ts';
import type { ClientRequest, ClientResponse } from '../../apis/runtime/listener.ts';
import { type Probe, probeReport } from '../../apis/runtime/operations.ts';
import type { Authorizer, ResourceAttributes } from '../../proxy/access/authorize.ts';
import type { UserInfo } from '../../proxy/access/user.ts';
import type { InvocationPath } from '../../proxy/invocation/invocation-path.ts';
import type { FrontProxyAuthenticator } from '../authentication/front-proxy.ts';
import type { Delegation } from '../authentication/on-behalf-of.ts';
import type { DiscoveryHandler } from '../discovery/handler.ts';
import type { SessionHandler } from '../sessions/handler.ts';
import { sendBytes } from './exchange.ts';
import { parseRequest, type RequestInfo, type ResourceRequest } from './request-info.ts';

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
    const { authenticator, discovery } = this.#options;
    // Discovery is constant and public in the source; it must answer even before kube-apiserver could be asked for the
    // front-proxy settings, or namespaces of the whole cluster could not be deleted meanwhile.
    if (info.kind === 'nonresource') {
      if (authenticator.configured) await this.#identify(request, info);
      return discovery.handle(info.path, request, response);
    }
    const user = await this.#identify(request, info);
    await this.#authorize(user, info);
    this.#requireReady();
    if (info.subresource !== undefined) {
      const continuing = sendContinue === undefined ? {} : { sendContinue };
      return await this.#options.invocations.invoke({
        ...invocationOf(info),
        ...continuing,
        route: 'aggregated',
        verb: info.verb,
        user,
        request,
        response,
      });
    }
    sendContinue?.();
    await this.#options.sessions.handle({ info, user, request, response });
  }

  /** An upgrade is a shell as much as a read: whatever its method, it needs `create`. */
  async handleUpgrade({ request, socket, head }: Upgrade): Promise<void> {
    const info = parseRequest(request.method ?? 'GET', request.url ?? '/');
    const user = await this.#identify(request, info);
    if (info.kind === 'nonresource')
      throw new ApiError('BadRequest', 'this path cannot be upgraded; send a plain request');
    const { namespace, name } = invocationOf(info);
    await this.#authorize(user, { ...info, verb: 'create', namespace, name });
    this.#requireReady();
    await this.#options.invocations.invokeUpgrade({
      ...invocationOf(info),
      route: 'aggregated',
      verb: 'create',
      user,
      request,
      socket,
      head,
    });
  }

  async #identify(request: ClientRequest, info: RequestInfo): Promise<UserInfo> {
    const { authenticator, delegation } = this.#options;
    return await delegation.resolve(authenticator.authenticate(request), info, request.rawHeaders);
  }

  async #authorize(user: UserInfo, info: ResourceRequest): Promise<void> {
    const attributes: ResourceAttributes = { verb: info.verb, group, version, resource };
    if (info.namespace !== undefined) attributes.namespace = info.namespace;
    if (info.name !== undefined) attributes.name = info.name;
    if (info.subresource !== undefined) attributes.subresource = info.subresource;
    await this.#options.authorizer.authorize(user, attributes);
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
  if (info.subresource !== 'proxy' || info.namespace === undefined || info.name === undefined) {
    throw new ApiError('NotFound', 'the server could not find the requested resource');
  }
  return {
    namespace: info.namespace,
    name: info.name,
    target: `${info.subpath === '' ? '/' : info.subpath}${info.rawQuery}`,
  };
}
