import { createLog } from '../../../apis/runtime/log.ts';
import { readOptions } from '../../../proxy/options.ts';
import { type RunningProxy, startProxy } from '../../../proxy/server.ts';
import type { TestControlPlane } from '../../support/control-plane.ts';
import { until } from '../../support/until.ts';
import { ensureSystemNamespace } from './sessions.ts';

/** The proxy as its binary starts it, in plain HTTP, with more flags if given. It is ready. */
export async function startReadyProxy(
  plane: Pick<TestControlPlane, 'client' | 'controlPlane'>,
  flags: readonly string[] = [],
): Promise<RunningProxy> {
  await ensureSystemNamespace(plane.client);
  const options = readOptions(
    [
      ...['--kubeconfig', plane.controlPlane.kubeconfigs.admin],
      ...['--listen-address', '127.0.0.1', '--listen-port', '0', '--insecure-http'],
      ...['--operations-port', '0', '--allow-loopback-pods', '--log-level', 'error'],
      ...['--audit-log-path', 'none', '--shutdown-delay-duration', '0s'],
      ...flags,
    ],
    {},
  );
  const proxy = await startProxy(options, createLog({ level: options['log-level'] }));
  const ready = `http://127.0.0.1:${proxy.operationsPort}/readyz?verbose`;
  await until('the proxy to be ready', async () => (await fetch(ready)).status === 200);
  return proxy;
}
