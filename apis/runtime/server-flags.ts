import type { Level } from './log.ts';
import { parseOneOf, parsePatience, parsePort, parseSwitch, parseText } from './options.ts';

const levels: readonly Level[] = ['debug', 'info', 'warn', 'error'];

/** Flags that every server of ours that talks to kube-apiserver has; ports differ and stay with each binary. */
export const serverFlags = {
  kubeconfig: {
    value: 'FILE',
    help: 'how to reach kube-apiserver; the in-cluster account when absent',
    env: 'KUBECONFIG',
    parse: parseText,
  },
  'listen-address': { value: 'IP', help: 'address to serve on', default: '0.0.0.0', parse: parseText },
  'tls-private-key-file': { value: 'FILE', help: 'key of the serving certificate, PEM', parse: parseText },
  'operations-address': {
    value: 'IP',
    help: 'address of /livez, /readyz and /metrics in plain HTTP',
    default: '127.0.0.1',
    parse: parseText,
  },
  'allow-loopback-pods': {
    help: 'dial Pods with addresses in 127.0.0.0/8; for the local cluster only',
    default: 'false',
    parse: parseSwitch,
  },
  'shutdown-delay-duration': {
    value: 'DURATION',
    help: 'how long to go on serving, while not ready, after a stop was asked for; load balancers need that time',
    default: '5s',
    parse: parsePatience,
  },
  'log-level': {
    value: levels.join('|'),
    help: 'least severe lines to log',
    default: 'info',
    parse: parseOneOf(...levels),
  },
} as const;

/** The flag of a port to serve on. */
export function listenPort<const D extends string>(port: D) {
  return { value: 'PORT', help: 'port to serve on', default: port, parse: parsePort } as const;
}

/** The flag of the port for probes and metrics. */
export function operationsPort<const D extends string>(port: D) {
  return { value: 'PORT', help: 'port of /livez, /readyz and /metrics', default: port, parse: parsePort } as const;
}
