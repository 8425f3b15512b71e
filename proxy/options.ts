import {
  type FlagValues,
  parseOneOf,
  parseOptions,
  parseSwitch,
  parseText,
  UsageError,
} from '../apis/runtime/options.ts';
import { listenPort, operationsPort, serverFlags } from '../apis/runtime/server-flags.ts';
import { isLoopback } from './invocation/addresses.ts';
import { invocationFlags } from './invocation/flags.ts';

const program = 'sojourn-proxy';

const flags = {
  ...serverFlags,
  ...invocationFlags,
  'listen-port': listenPort('8443'),
  'operations-port': operationsPort('8082'),
  'tls-cert-file': { value: 'FILE', help: 'serving certificate, PEM', parse: parseText },
  'insecure-http': {
    help: 'serve plain HTTP instead of TLS; on a loopback address only',
    default: 'false',
    parse: parseSwitch,
  },
  'client-ca-file': {
    value: 'FILE',
    help: "CAs of callers' client certificates, PEM; those of kube-apiserver when absent",
    parse: parseText,
  },
  'token-audiences': {
    value: 'NAMES',
    help: 'comma-separated audiences of tokens that are taken besides those for kube-apiserver',
    parse: parseAudiences,
  },
  auth: {
    value: 'tokenreview|none',
    help: 'who callers are: by client certificate or TokenReview; none lets everybody on this machine do everything',
    default: 'tokenreview',
    parse: parseOneOf('tokenreview', 'none'),
  },
} as const;

export type ProxyOptions = FlagValues<typeof flags>;

/**
 * Reads this binary's command line.
 * @throws UsageError with every problem of it.
 */
export function readOptions(argv: readonly string[], env: NodeJS.ProcessEnv): ProxyOptions {
  const options = parseOptions(program, flags, argv, env);
  const problems = contradictions(options);
  if (problems.length > 0) throw new UsageError(`${program}: ${problems.join('\n  ')}\nTry ${program} --help`);
  return options;
}

function parseAudiences(text: string): string[] {
  const audiences = text.split(',');
  if (audiences.some((audience) => audience.trim() !== audience || audience === '')) {
    throw new Error(`must be audiences with commas and no spaces between them, not "${text}"`);
  }
  return audiences;
}

function contradictions(options: ProxyOptions): string[] {
  const problems: string[] = [];
  const hasTls = options['tls-cert-file'] !== undefined && options['tls-private-key-file'] !== undefined;
  const local = isLoopback(options['listen-address']);
  if (!options['insecure-http'] && !hasTls) {
    problems.push('--tls-cert-file and --tls-private-key-file are needed (or --insecure-http on a loopback address)');
  }
  if (options['insecure-http'] && !local) problems.push('--insecure-http needs a loopback --listen-address: 127.0.0.1');
  if (options.auth === 'none' && !local) problems.push('--auth=none needs a loopback --listen-address: 127.0.0.1');
  return problems;
}
