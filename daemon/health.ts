import type Router from '@koa/router';
import { formatDuration } from '../apis/v1alpha1/duration.ts';
import manifest from '../package.json' with { type: 'json' };

/** `GET /health` in PicoD's shape. It needs no token: kubelet's probes have none. */
export function healthRoute(router: Router): void {
  const started = performance.now();
  router.get('/health', (ctx) => {
    ctx.body = {
      status: 'ok',
      service: 'sojourn-daemon',
      version: manifest.version,
      uptime: formatDuration(performance.now() - started),
    };
  });
}
