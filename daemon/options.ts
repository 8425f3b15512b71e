import type { Level } from '../apis/runtime/log.ts';
import { type FlagTable, parseOneOf, parseOptions, parsePort, parseText, UsageError } from '../apis/runtime/options.ts';
import { daemonEnv, daemonPort } from '../apis/wire/daemon.ts';

/** What one daemon is told; nothing else about its sandbox reaches it. */
export interface DaemonOptions {
  /** Address to listen on; every address of the Pod when absent. */
  listenAddress: string | undefined;
  /** 0 takes a free port. */
  port: number;
  /** Folder that files and commands are confined to; created when missing. */
  workspace: string;
  /** Root public key: SPKI, base64 of DER. */
  rootKey: string;
  namespace: string;
  /** Name of the Sandbox; with the namespace and the Pod's uid, the audience of every token. */
  sandbox: string;
  podUid: string;
  logLevel: Level;
}

const program = 'sojourn-daemon';

const flags = {
  'listen-address': {
    value: 'IP',
    help: 'address to listen on; all addresses when unset',
    env: daemonEnv.listenAddress,
    parse: parseText,
  },
  port: {
    value: 'PORT',
    help: 'port to listen on',
    env: daemonEnv.listenPort,
    default: String(daemonPort),
    parse: parsePort,
  },
  workspace: {
    value: 'FOLDER',
    help: 'folder of files and commands; the working directory when unset',
    env: daemonEnv.workspace,
    parse: parseText,
  },
  'root-key': {
    value: 'BASE64',
    help: 'root public key (SPKI), which signs the key sets that are pushed',
    env: daemonEnv.rootKey,
    parse: parseText,
  },
  namespace: { value: 'NAME', help: 'namespace of this sandbox', env: daemonEnv.namespace, parse: parseText },
  sandbox: { value: 'NAME', help: 'name of this sandbox', env: daemonEnv.sandbox, parse: parseText },
  'pod-uid': { value: 'UID', help: 'uid of the Pod of this sandbox', env: daemonEnv.podUid, parse: parseText },
  'log-level': {
    value: 'LEVEL',
    help: 'debug, info, warn or error',
    default: 'info',
    parse: parseOneOf('debug', 'info', 'warn', 'error'),
  },
} satisfies FlagTable;

/**
 * Reads flags and environment.
 * @throws UsageError when a flag is wrong, or when the daemon would not know whom to trust and who it is.
 */
export function readOptions(argv: readonly string[], env: NodeJS.ProcessEnv): DaemonOptions {
  const values = parseOptions(program, flags, argv, env);
  const rootKey = values['root-key'];
  const podUid = values['pod-uid'];
  const { namespace, sandbox } = values;
  if (rootKey === undefined || namespace === undefined || sandbox === undefined || podUid === undefined) {
    const missing = [
      ...(rootKey === undefined ? [`--root-key (${daemonEnv.rootKey})`] : []),
      ...(namespace === undefined ? [`--namespace (${daemonEnv.namespace})`] : []),
      ...(sandbox === undefined ? [`--sandbox (${daemonEnv.sandbox})`] : []),
      ...(podUid === undefined ? [`--pod-uid (${daemonEnv.podUid})`] : []),
    ];
    throw new UsageError(
      `${program}: set ${missing.join(', ')}: the daemon runs nothing unless it can tell whose tokens are meant for it`,
    );
  }
  return {
    listenAddress: values['listen-address'],
    port: values.port,
    workspace: values.workspace ?? process.cwd(),
    rootKey,
    namespace,
    sandbox,
    podUid,
    logLevel: values['log-level'],
  };
}
