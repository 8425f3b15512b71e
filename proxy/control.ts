import type Router from '@koa/router';
import Koa from 'koa';
import type { ClientRequest, ClientResponse } from '../apis/runtime/listener.ts';
import type { Log } from '../apis/runtime/log.ts';
import { pageNotFound } from './agentcube/errors.ts';
import { endAnswer } from './invocation/answer-end.ts';
import { respondError } from './invocation/respond.ts';

/** Answers requests that carry nothing into a sandbox: small, and read by a router. */
export type ControlRoutes = (
  request: ClientRequest,
  response: ClientResponse,
  sendContinue?: () => void,
) => Promise<void>;

/** What a router of control routes finds in its context's `state`. */
export interface ControlState {
  /** Asks a client that waits for it to send its body; a route that wants the body calls it once it knows whose it is. */
  sendContinue?: (() => void) | undefined;
}

/** The control routes of the proxy. What none of them has is answered as AgentCube's programs answer it. */
export function controlRoutes(routers: readonly Router[], log: Log): ControlRoutes {
  const app = new Koa();
  const waiting = new WeakMap<object, () => void>();
  // Koa's own errors are those of clients' connections; ours are answered before it sees them.
  app.on('error', (error: Error) => log.debug('the client of a control request went away', { error }));
  app.use(async (ctx, next) => {
    (ctx.state as ControlState).sendContinue = waiting.get(ctx.req);
    try {
      await next();
    } catch (error) {
      ctx.respond = false;
      respondError(ctx.req, ctx.res, error, log);
    }
  });
  for (const router of routers) app.use(router.routes());
  app.use((ctx) => {
    ctx.status = 404;
    ctx.type = 'text/plain';
    ctx.body = pageNotFound;
  });
  const answer = app.callback();
  return async (request, response, sendContinue) => {
    if (sendContinue !== undefined) waiting.set(request, sendContinue);
    await answer(request, response);
    // Koa leaves a body that nobody read to its sender's leisure.
    if (response.writableEnded) endAnswer(request, response);
  };
}
