import type Router from '@koa/router';
import { ApiError } from '../../apis/machinery/errors.ts';
import { environmentRoute } from '../../apis/wire/daemon.ts';
import { readJson } from '../http/body.ts';
import { parseEnvironment } from './request.ts';

/** What execve(2) takes of one string, with its name and "=" (MAX_ARG_STRLEN in linux/binfmts.h), in bytes. */
const longestVariable = 128 * 1024;
/** All of it, so that room is left for a command's own arguments. */
const largestEnvironment = 512 * 1024;

/**
 * Environment that a session is given at its first use, for every later command. It may hold secrets, so it is kept in
 * memory alone: nothing reads it back but the commands, and it goes with the Pod.
 */
export class SessionEnvironment {
  #variables: Readonly<Record<string, string>> = {};

  get variables(): Readonly<Record<string, string>> {
    return this.#variables;
  }

  /**
   * Takes the place of what was given before.
   * @throws ApiError BadRequest when no program could be started with it.
   */
  replace(variables: ReadonlyMap<string, string>): void {
    let total = 0;
    for (const [name, value] of variables) {
      const bytes = Buffer.byteLength(name) + Buffer.byteLength(value) + 2;
      total += bytes;
      if (bytes > longestVariable || total > largestEnvironment) {
        const message = `'env' is too long: a variable may have ${longestVariable} bytes, all ${largestEnvironment}; write a file instead`;
        throw new ApiError('BadRequest', message);
      }
    }
    this.#variables = Object.fromEntries(variables);
  }
}

/** `PUT` (or `POST`, for clients that have nothing else) of `{"env": {...}}`; answers the names, never the values. */
export function sessionEnvironmentRoute(router: Router, environment: SessionEnvironment): void {
  router.register(environmentRoute, ['PUT', 'POST'], async (ctx) => {
    const { env } = await readJson(ctx);
    if (env === undefined)
      throw new ApiError('BadRequest', "'env' is missing; send an object of names and text values");
    environment.replace(parseEnvironment(env));
    ctx.body = { names: Object.keys(environment.variables) };
  });
}
