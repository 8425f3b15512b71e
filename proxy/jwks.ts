import Router from '@koa/router';
import { asApiError } from '../apis/machinery/errors.ts';
import type { KeyRing } from './invocation/keys/key-ring.ts';

/** Where the public keys are (the path that OpenID Connect providers commonly use for RFC 7517 §5). */
const jwksRoute = '/.well-known/jwks.json';

/** Shorter than new keys are announced for, so that whoever refetches by it knows every key in time. */
const maxAgeSeconds = 30;

/** `GET` of the public keys that tokens are signed with: public, so nobody is asked who they are. 503 until they are loaded. */
export function jwksRoutes(keys: KeyRing): Router {
  const router = new Router();
  router.get(jwksRoute, (ctx) => {
    try {
      const document = JSON.stringify(keys.publicKeys());
      ctx.set({ 'content-type': 'application/jwk-set+json', 'cache-control': `public, max-age=${maxAgeSeconds}` });
      ctx.body = document;
    } catch (thrown) {
      const error = asApiError(thrown);
      ctx.status = error.code;
      if (error.retryAfterSeconds !== undefined) ctx.set('retry-after', String(error.retryAfterSeconds));
      ctx.body = error.toStatus();
    }
  });
  return router;
}
