import { type FlagValues, parseCount, parseOptions, parseSwitch, parseText } from '../apis/runtime/options.ts';
import { listenPort, operationsPort, serverFlags } from '../apis/runtime/server-flags.ts';
import { invocationFlags } from '../proxy/invocation/flags.ts';

const flags = {
  ...serverFlags,
  ...invocationFlags,
  'listen-port': listenPort('6443'),
  'operations-port': operationsPort('8081'),
  'tls-cert-file': {
    value: 'FILE',
    help: 'serving certificate, PEM; its names must have SERVICE.NAMESPACE.svc',
    parse: parseText,
  },
  'max-watches-per-user': {
    value: 'N',
    help: 'watches of one user at once in this process; more are refused with 429',
    default: '10000',
    parse: parseCount,
  },
  'allow-unguarded': {
    help: 'serve although no admission policy guards session data; for experiments only',
    default: 'false',
    parse: parseSwitch,
  },
  'allow-shared-front-proxy-ca': {
    help: 'serve although every client certificate of the cluster could speak for anybody; for experiments only',
    default: 'false',
    parse: parseSwitch,
  },
} as const;

export type ApiserverOptions = FlagValues<typeof flags>;

/**
 * Reads this binary's command line.
 * @throws UsageError with every problem of it.
 */
export function readOptions(argv: readonly string[], env: NodeJS.ProcessEnv): ApiserverOptions {
  return parseOptions('sojourn-apiserver', flags, argv, env);
}
