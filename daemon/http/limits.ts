import type { Middleware } from 'koa';
import type { ApiError } from '../../apis/machinery/errors.ts';
import { bodyLimitBytes } from '../../apis/wire/daemon.ts';
import { detailed } from './errors.ts';

/** The answer to a body of more than `limitBytes`, in PicoD's words. */
export function bodyTooLarge(limitBytes: number): ApiError {
  return detailed('RequestEntityTooLarge', 'request body too large', `maximum allowed size is ${limitBytes} bytes`);
}

/** Refuses a body whose Content-Length is over the limit before any of it is read. */
export function refuseOversized(): Middleware {
  return async (ctx, next) => {
    if (Number(ctx.get('Content-Length')) > bodyLimitBytes) throw bodyTooLarge(bodyLimitBytes);
    await next();
  };
}
