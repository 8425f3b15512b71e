import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import Router from '@koa/router';
import type { CryptoKey } from 'jose';
import Koa from 'koa';
import type { Log } from '../apis/runtime/log.ts';
import { UsageError } from '../apis/runtime/options.ts';
import { daemonEnv } from '../apis/wire/daemon.ts';
import { importRootKey } from '../apis/wire/keyset.ts';
import { Authenticator, requireToken } from './auth/authenticate.ts';
import { KeyRing } from './auth/key-ring.ts';
import { keySetRoutes } from './auth/routes.ts';
import { Commands } from './exec/commands.ts';
import { inheritedEnvironment } from './exec/environment.ts';
import { executeRoute } from './exec/execute.ts';
import { SessionEnvironment, sessionEnvironmentRoute } from './exec/session-environment.ts';
import { fileRoutes } from './files/routes.ts';
import { healthRoute } from './health.ts';
import { answerErrors } from './http/answer.ts';
import { errorCode } from './http/errors.ts';
import { refuseOversized } from './http/limits.ts';
import { OpenRequests } from './http/requests.ts';
import type { DaemonOptions } from './options.ts';
import { Workspace } from './workspace/workspace.ts';

/** The most that a stop waits for answers, and then for their handlers to clean up. */
const drainMs = 2000;
const cleanUpMs = 1000;

export interface Daemon {
  /** Resolves with where the daemon listens. */
  listen: () => Promise<AddressInfo>;
  /** Stops accepting, kills every command, and returns within a few seconds. */
  stop: () => Promise<void>;
}

export interface DaemonDependencies {
  log: Log;
  /** The container's environment, which commands inherit but for the daemon's own settings. */
  environment: NodeJS.ProcessEnv;
}

/**
 * Wires one daemon.
 * @throws UsageError when the root key or the workspace cannot be used.
 */
export async function createDaemon(options: DaemonOptions, dependencies: DaemonDependencies): Promise<Daemon> {
  const { log } = dependencies;
  const keys = new KeyRing(await readRootKey(options.rootKey));
  const authenticator = new Authenticator(keys, options);
  const workspace = await openWorkspace(options.workspace);
  const commands = new Commands(log);
  const requests = new OpenRequests(log);

  const open = new Router();
  healthRoute(open);
  keySetRoutes(open, keys);
  const api = new Router();
  const inherited = inheritedEnvironment(dependencies.environment);
  const given = new SessionEnvironment();
  executeRoute(api, { commands, workspace, environment: () => ({ ...inherited, ...given.variables }) });
  sessionEnvironmentRoute(api, given);
  fileRoutes(api, workspace);

  const app = new Koa();
  // Requests answer their own errors; what comes here is a connection that broke, or a mistake in answering.
  app.on('error', (error: Error) =>
    log[errorCode(error) === undefined ? 'error' : 'debug']('answering failed', { error }),
  );
  app.use(requests.track()).use(answerErrors(log));
  app.use(open.routes());
  // From here on nothing is answered without a token, not even that a path does not exist.
  app.use(requireToken(authenticator)).use(refuseOversized());
  app.use(api.routes()).use(api.allowedMethods());

  const server = createHttpServer(app);
  return {
    listen: async () => {
      await commands.prepare();
      return await listen(server, options);
    },
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      await commands.stop();
      await requests.settled(drainMs);
      server.closeAllConnections();
      await requests.settled(cleanUpMs);
      await closed;
      await workspace[Symbol.asyncDispose]();
    },
  };
}

async function readRootKey(text: string): Promise<CryptoKey> {
  try {
    return await importRootKey(text);
  } catch (error) {
    throw new UsageError(
      `sojourn-daemon: --root-key (${daemonEnv.rootKey}) is not a P-256 public key; set it to the base64 of its SPKI`,
      { cause: error },
    );
  }
}

async function openWorkspace(folder: string): Promise<Workspace> {
  try {
    return await Workspace.open(folder);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`sojourn-daemon: the workspace cannot be used: ${reason}; set --workspace to another folder`, {
      cause: error,
    });
  }
}

function createHttpServer(app: Koa): Server {
  const handle = app.callback();
  const server = createServer(
    {
      headersTimeout: 10_000,
      // The whole of a request; a slow link may take long for 32 MiB, and a vanished peer is found by keep-alive.
      requestTimeout: 3_600_000,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
      // Longer than callers keep idle connections, so that they are the ones to close them.
      keepAliveTimeout: 75_000,
    },
    handle,
  );
  // Without this Node asks for the body before anybody has decided to read it.
  server.on('checkContinue', handle);
  return server;
}

async function listen(server: Server, options: DaemonOptions): Promise<AddressInfo> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ port: options.port, host: options.listenAddress }, resolve);
  await promise;
  server.off('error', reject);
  return server.address() as AddressInfo;
}
