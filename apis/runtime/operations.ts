import type { Server } from 'node:http';
import Router from '@koa/router';
import Koa from 'koa';
import type { Registry } from 'prom-client';
import type { Log } from './log.ts';

/** A named condition of health; the text says what is missing. */
export interface Probe {
  name: string;
  /** Undefined when all is well, else one clause that says what is wrong. */
  check: () => string | undefined;
}

export interface OperationsOptions {
  host: string;
  port: number;
  live: readonly Probe[];
  ready: readonly Probe[];
  registry: Registry;
  log: Log;
}

/** What `/readyz?verbose` prints, in kube-apiserver's format. */
export function probeReport(name: string, probes: readonly Probe[]): { healthy: boolean; text: string } {
  const results = probes.map((probe) => ({ probe, problem: probe.check() }));
  const healthy = results.every((result) => result.problem === undefined);
  const lines = results.map(({ probe, problem }) =>
    problem === undefined ? `[+]${probe.name} ok` : `[-]${probe.name} failed: ${problem}`,
  );
  return { healthy, text: `${lines.join('\n')}\n${name} check ${healthy ? 'passed' : 'failed'}\n` };
}

/** Serves `/livez`, `/readyz` and `/metrics` in plain HTTP on a port of their own. */
export async function serveOperations(
  options: OperationsOptions,
): Promise<{ port: number; stop: () => Promise<void> }> {
  const router = new Router();
  const probeRoute = (path: string, probes: readonly Probe[]) => {
    router.get(path, (ctx) => {
      const report = probeReport(path.slice(1), probes);
      ctx.status = report.healthy ? 200 : 503;
      ctx.body = report.healthy && ctx.query.verbose === undefined ? 'ok' : report.text;
    });
  };
  probeRoute('/livez', options.live);
  probeRoute('/readyz', options.ready);
  router.get('/metrics', async (ctx) => {
    ctx.type = options.registry.contentType;
    ctx.body = await options.registry.metrics();
  });
  const app = new Koa();
  app.on('error', (error: Error) => options.log.error('operations request failed', { error }));
  app.use(router.routes());
  const server = await new Promise<Server>((resolve, reject) => {
    const listening = app.listen(options.port, options.host, () => resolve(listening));
    listening.once('error', reject);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { port, stop };
}
