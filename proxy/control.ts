import type Router from '@koa/router';
import Koa from 'koa';
import type { ClientRequest, ClientResponse } from '../apis/runtime/listener.ts';
import type { Log } from '../apis/runtime/log.ts';
import { pageNotFound } from './agentcube/errors.ts';

/** Answers requests that carry nothing into a sandbox: small, and read by a router. */
export type ControlRoutes = (request: ClientRequest, response: ClientResponse) => Promise<void>;

/** The control routes of the proxy. What none of them has is answered as AgentCube's programs answer it. */
export function controlRoutes(routers: readonly Router[], log: Log): ControlRoutes {
  const app = new Koa();
  app.on('error', (error: Error) => log.error('control request failed', { error }));
  for (const router of routers) app.use(router.routes());
  app.use((ctx) => {
    ctx.status = 404;
    ctx.type = 'text/plain';
    ctx.body = pageNotFound;
  });
  return app.callback();
}
