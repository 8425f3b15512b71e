import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { group, resource, version } from '../apis/names.ts';
import type { ClientRequest, ClientResponse } from '../apis/runtime/listener.ts';
import type { Log } from '../apis/runtime/log.ts';
import type { Access } from './access/access.ts';
import type { UserInfo } from './access/user.ts';
import { pageNotFoundFormat } from './agentcube/errors.ts';
import { matchRouterRoute } from './agentcube/route.ts';
import type { AgentCubeRouter } from './agentcube/router.ts';
import type { ControlRoutes } from './control.ts';
import type { InvocationPath } from './invocation/invocation-path.ts';
import type { InvocationKind } from './invocation/metrics.ts';
import { rejectUpgrade, respondError } from './invocation/respond.ts';
import { type InvocationRoute, noSuchPath, parseRoute, upgradeVerb, verbOf } from './route.ts';

export interface GatewayOptions {
  access: Access;
  invocations: Pick<InvocationPath, 'invoke' | 'invokeUpgrade' | 'refuse'>;
  agentcube: AgentCubeRouter;
  /** Whatever is not carried into a sandbox. */
  control: ControlRoutes;
  log: Log;
}

/** Kubernetes' paths; errors about them are Kubernetes' too. */
const nativePrefix = '/apis/';

/** The order of every request: where to, who, may they, and only then whether there is such a session. */
export class Gateway {
  readonly #options: GatewayOptions;

  constructor(options: GatewayOptions) {
    this.#options = options;
  }

  /** Answers a request in either HTTP version; never rejects. */
  async handle(request: ClientRequest, response: ClientResponse, sendContinue?: () => void): Promise<void> {
    const { invocations, agentcube, control, log } = this.#options;
    const requestLine = request.url ?? '';
    const routed = matchRouterRoute(requestLine);
    if (routed !== undefined) return await agentcube.handle(routed, request, response, sendContinue);
    // Other forms of a request line (RFC 9112 §3.2.2 to 3.2.4) would be read a second time by the control routes' router.
    if (!requestLine.startsWith('/')) {
      respondError(request, response, noSuchPath(), log, pageNotFoundFormat);
      return;
    }
    if (!requestLine.startsWith(nativePrefix)) return await control(request, response, sendContinue);
    try {
      const route = parseRoute(requestLine);
      const verb = verbOf(request.method ?? '');
      const user = await this.#admit(request, route, { kind: 'request', verb });
      await invocations.invoke({
        ...route,
        route: 'native',
        verb,
        user,
        request,
        response,
        ...(sendContinue === undefined ? {} : { sendContinue }),
      });
    } catch (error) {
      respondError(request, response, error, log);
    }
  }

  /** Answers a request for another protocol; never rejects. */
  async handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    // Node takes its own listener away with the upgrade; an unheard "error" would end the process.
    socket.on('error', () => socket.destroy());
    const { agentcube, log } = this.#options;
    const requestLine = request.url ?? '';
    const routed = matchRouterRoute(requestLine);
    if (routed !== undefined) return await agentcube.handleUpgrade(routed, request, socket, head);
    if (!requestLine.startsWith(nativePrefix)) return rejectUpgrade(socket, noSuchPath(), log, pageNotFoundFormat);
    try {
      const route = parseRoute(requestLine);
      const user = await this.#admit(request, route, { kind: 'upgrade', verb: upgradeVerb });
      await this.#options.invocations.invokeUpgrade({
        ...route,
        route: 'native',
        verb: upgradeVerb,
        user,
        request,
        socket,
        head,
      });
    } catch (error) {
      rejectUpgrade(socket, error, log);
    }
  }

  async #admit(
    request: ClientRequest,
    { namespace, name }: InvocationRoute,
    { kind, verb }: { kind: InvocationKind; verb: string },
  ): Promise<UserInfo> {
    const { access, invocations } = this.#options;
    let user: UserInfo | undefined;
    try {
      ({ user } = await access.authenticate(request));
      await access.authorize(user, { verb, group, version, resource, subresource: 'proxy', namespace, name });
      return user;
    } catch (error) {
      invocations.refuse({ route: 'native', kind, verb, namespace, name, user, request, error });
      throw error;
    }
  }
}
