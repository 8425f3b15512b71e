import type { Registry } from 'prom-client';
import type { KubeClient } from '../../apis/client/transport.ts';
import { firstEnd } from '../../apis/runtime/certificate-metric.ts';
import type { Log } from '../../apis/runtime/log.ts';
import type { Probe } from '../../apis/runtime/operations.ts';
import { TokenAuthenticator } from './authenticate.ts';
import { Authorizer, type ResourceAttributes } from './authorize.ts';
import type { Caller } from './caller.ts';
import { CallerAuthenticator } from './callers.ts';
import { FileClientAuthorities, PublishedClientAuthorities } from './client-authorities.ts';
import type { IncomingIdentity } from './connection.ts';
import { refuseForeignPages } from './foreign-pages.ts';
import { refuseImpersonation } from './impersonation.ts';
import { AccessMetrics } from './metrics.ts';
import { Self } from './self.ts';
import type { UserInfo } from './user.ts';

/** Who a request comes from, and whether they may. */
export interface Access {
  /** @throws ApiError Unauthorized; BadRequest for who asks to be somebody else; and others. */
  authenticate(request: IncomingIdentity): Promise<Caller>;
  /** @throws ApiError Forbidden and others; resolves only if the user may. */
  authorize(user: UserInfo, attributes: ResourceAttributes): Promise<void>;
}

/** {@link Access} with what it needs to know first. */
export interface RunningAccess extends Access {
  ready: readonly Probe[];
  /** When the first CA of clients' certificates ends, in milliseconds since the epoch; undefined when there is none. */
  certificatesEnd(): number | undefined;
  start(): void;
  stop(): Promise<void>;
}

export interface ReviewedAccessOptions {
  client: KubeClient;
  registry: Registry;
  log: Log;
  /** Names that tokens may be made for besides kube-apiserver's own. */
  audiences: readonly string[];
  /** Holds the CA of client certificates, PEM; kube-apiserver's own client CA when absent. */
  clientCaFile: string | undefined;
}

/**
 * Callers by client certificate or token, each request reviewed by kube-apiserver.
 * @throws when the CA file cannot be used.
 */
export async function reviewedAccess(options: ReviewedAccessOptions): Promise<RunningAccess> {
  const { client, registry, log, audiences, clientCaFile } = options;
  const metrics = new AccessMetrics(registry);
  const authorities =
    clientCaFile === undefined
      ? new PublishedClientAuthorities(client, log)
      : await FileClientAuthorities.open(clientCaFile, log);
  const tokens = new TokenAuthenticator({ client, audiences, counter: metrics.tokens });
  const callers = new CallerAuthenticator({ authorities, tokens, now: Date.now });
  const authorizer = new Authorizer(client, metrics.rights);
  const missing = 'it was not read from ConfigMap kube-system/extension-apiserver-authentication yet';
  return {
    authenticate: async (request) => {
      const caller = await callers.authenticate(request);
      refuseImpersonation(request.rawHeaders);
      return caller;
    },
    authorize: (user, attributes) => authorizer.authorize(user, attributes),
    ready: [{ name: 'client-ca', check: () => (authorities.current === undefined ? missing : undefined) }],
    certificatesEnd: () => firstEnd(authorities.current),
    start: () => authorities.start(),
    stop: () => authorities.stop(),
  };
}

/**
 * `--auth=none`: everybody who reaches this process may do everything, so only this machine may reach it. Callers are the
 * proxy itself, since nobody else was seen: so the sessions that they create are of its own account.
 */
export function openAccess(client: KubeClient, log: Log): RunningAccess {
  const self = new Self(client);
  return {
    authenticate: async ({ rawHeaders }) => {
      refuseForeignPages(rawHeaders);
      refuseImpersonation(rawHeaders);
      return { user: await self.user(), credential: { kind: 'asserted' } };
    },
    authorize: async () => undefined,
    // Never a problem, but a line of /readyz?verbose that says so for as long as the process runs.
    ready: [{ name: 'AUTHENTICATION-IS-OFF-by---auth=none', check: () => undefined }],
    certificatesEnd: () => undefined,
    start: () =>
      log.warn('--auth=none: EVERYBODY ON THIS MACHINE MAY RUN CODE IN EVERY SESSION; use it for experiments alone'),
    stop: async () => undefined,
  };
}
