import type { Context, Middleware } from 'koa';
import type { Log } from '../../apis/runtime/log.ts';

/** The requests that are being answered: one log line each, and something a stop can wait for. */
export class OpenRequests {
  readonly #open = new Set<Promise<unknown>>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Middleware that has to be the outermost one. */
  track(): Middleware {
    return async (ctx, next) => {
      const started = performance.now();
      const closed = new Promise<void>((resolve) => ctx.res.once('close', resolve));
      const handled = next();
      const open = Promise.allSettled([handled, closed]);
      this.#open.add(open);
      void open.then(() => {
        this.#open.delete(open);
        const milliseconds = Math.round(performance.now() - started);
        this.#log.debug('request', { method: ctx.method, path: ctx.path, status: ctx.status, milliseconds });
      });
      await handled;
    };
  }

  /** Resolves once nothing is being answered, or after a time. */
  async settled(timeoutMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    await Promise.race([promise, Promise.all(this.#open)]);
    clearTimeout(timer);
  }
}

/** A signal that aborts when the client goes away before its answer is complete. */
export function clientGone(ctx: Context): AbortSignal {
  const controller = new AbortController();
  const { res } = ctx;
  if (res.destroyed) controller.abort();
  res.once('close', () => {
    if (!res.writableFinished) controller.abort();
  });
  return controller.signal;
}
