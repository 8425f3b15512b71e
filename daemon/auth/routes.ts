import type Router from '@koa/router';
import { keySetRoute } from '../../apis/wire/daemon.ts';
import { readBody } from '../http/body.ts';
import type { KeyRing } from './key-ring.ts';

/** A key is about 300 bytes in a key set. Whoever can reach the port may push, so a push must be cheap to refuse. */
const keySetLimitBytes = 256 * 1024;

/** `PUT` of the current key set, which proves itself by the root's signature. */
export function keySetRoutes(router: Router, keys: KeyRing): void {
  router.put(keySetRoute, async (ctx) => {
    await keys.accept((await readBody(ctx, keySetLimitBytes)).toString('latin1').trim());
    ctx.status = 204;
  });
}
