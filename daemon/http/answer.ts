import type { Context, Middleware } from 'koa';
import { ApiError, asApiError, reasonOfCode } from '../../apis/machinery/errors.ts';
import type { Log } from '../../apis/runtime/log.ts';
import { announcesBody } from './body.ts';
import { errorBody } from './errors.ts';
import { discardRest } from './linger.ts';

/** The one place where an error becomes an answer. */
export function answerErrors(log: Log): Middleware {
  return async (ctx, next) => {
    try {
      await next();
      refuseUnrouted(ctx);
      endJsonLine(ctx);
      // Nobody can tell where the next request would begin: the client may send what it announced, or not.
      if (hasUnreadBody(ctx) && !ctx.res.headersSent) ctx.set('Connection', 'close');
    } catch (error) {
      if (ctx.res.destroyed) {
        log.debug('client went away', { method: ctx.method, path: ctx.path });
        return;
      }
      await answerError(ctx, asApiError(error), log);
    }
  };
}

/** A terminal shows the next prompt on a line of its own. */
function endJsonLine(ctx: Context): void {
  const { body } = ctx;
  if (!ctx.response.is('json') || typeof body !== 'object' || body === null) return;
  if (Object.getPrototypeOf(body) === Object.prototype) ctx.body = jsonLine(body);
}

function jsonLine(value: object): string {
  return `${JSON.stringify(value)}\n`;
}

/** No route took the request, or not with this method: koa says so by a bare status. */
function refuseUnrouted(ctx: Context): void {
  if (ctx.respond === false || ctx.status < 400 || (ctx.body !== undefined && ctx.body !== null && ctx.body !== ''))
    return;
  const sentence =
    ctx.status === 404
      ? 'there is nothing at this path; see /api/execute and /api/files'
      : `this path does not take ${ctx.method}; use ${ctx.response.get('Allow')}`;
  throw new ApiError(reasonOfCode(ctx.status), sentence);
}

async function answerError(ctx: Context, error: ApiError, log: Log): Promise<void> {
  if (error.reason === 'InternalError') log.error('request failed', { method: ctx.method, path: ctx.path, error });
  if (ctx.res.headersSent) {
    // Part of a body is on its way: only a broken connection tells the client that the rest will not come.
    ctx.res.destroy();
    return;
  }
  // A route that wrote its answer itself has failed before it wrote anything.
  ctx.respond = true;
  ctx.status = error.code;
  ctx.type = 'application/json';
  // RFC 9110 §11.6.1 demands a challenge.
  if (error.code === 401) ctx.set('WWW-Authenticate', 'Bearer');
  if (error.retryAfterSeconds !== undefined) ctx.set('Retry-After', String(error.retryAfterSeconds));
  const text = jsonLine(errorBody(error));
  if (hasUnreadBody(ctx)) await answerBeforeBody(ctx, text);
  else ctx.body = text;
}

function hasUnreadBody(ctx: Context): boolean {
  return announcesBody(ctx.req) && !ctx.req.readableEnded;
}

/**
 * Answers although the body has not been read: the whole answer goes out, the connection is said to close, and what
 * the client still sends is thrown away for a while before it does. Closing at once would make the kernel answer the
 * unread bytes with a reset, and the client would lose the answer (RFC 9112 §9.6).
 */
async function answerBeforeBody(ctx: Context, text: string): Promise<void> {
  const { req, res } = ctx;
  ctx.respond = false;
  ctx.set('Connection', 'close');
  ctx.length = Buffer.byteLength(text);
  // The answer is complete with its last byte; `end` waits, because Node closes the socket there.
  res.write(text);
  await discardRest(req);
  if (!res.destroyed) res.end();
}
