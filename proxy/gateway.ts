import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { group, resource, version } from '../apis/names.ts';
import type { ClientRequest, ClientResponse } from '../apis/runtime/listener.ts';
import type { Log } from '../apis/runtime/log.ts';
import type { ResourceAttributes } from './access/authorize.ts';
import type { UserInfo } from './access/user.ts';
import type { InvocationPath } from './invocation/invocation-path.ts';
import { rejectUpgrade, respondError } from './invocation/respond.ts';
import { type InvocationRoute, parseRoute, verbOf } from './route.ts';

/** Who a request comes from, and whether they may. */
export interface Access {
  /** @param rawHeaders pairs of name and value. @throws ApiError Unauthorized and others. */
  authenticate(rawHeaders: readonly string[]): Promise<UserInfo>;
  /** @throws ApiError Forbidden and others; resolves only if the user may. */
  authorize(user: UserInfo, attributes: ResourceAttributes): Promise<void>;
}

export interface GatewayOptions {
  access: Access;
  invocations: Pick<InvocationPath, 'invoke' | 'invokeUpgrade'>;
  log: Log;
}

/** Upgrades open a two-way stream, a shell for instance: whatever their method, they need more than a right to read. */
const upgradeVerb = 'create';

/** The order of every request: where to, who, may they, and only then whether there is such a session. */
export class Gateway {
  readonly #options: GatewayOptions;

  constructor(options: GatewayOptions) {
    this.#options = options;
  }

  /** Answers a request in either HTTP version; never rejects. */
  async handle(request: ClientRequest, response: ClientResponse, sendContinue?: () => void): Promise<void> {
    const { invocations, log } = this.#options;
    try {
      const route = parseRoute(request.url ?? '');
      const user = await this.#admit(request, route, verbOf(request.method ?? ''));
      await invocations.invoke({
        ...route,
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
    try {
      const route = parseRoute(request.url ?? '');
      const user = await this.#admit(request, route, upgradeVerb);
      await this.#options.invocations.invokeUpgrade({ ...route, user, request, socket, head });
    } catch (error) {
      rejectUpgrade(socket, error, this.#options.log);
    }
  }

  async #admit({ rawHeaders }: ClientRequest, { namespace, name }: InvocationRoute, verb: string): Promise<UserInfo> {
    const { access } = this.#options;
    const user = await access.authenticate(rawHeaders);
    await access.authorize(user, { verb, group, version, resource, subresource: 'proxy', namespace, name });
    return user;
  }
}
