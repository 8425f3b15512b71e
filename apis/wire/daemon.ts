/** What the daemon in a sandbox and its callers agree on. */

/** Port the daemon listens on when its runtime names none (AgentCube's PicoD does too). */
export const daemonPort = 8080;

/** Largest request body in bytes, 32 MiB; the limit itself still passes. */
export const bodyLimitBytes = 32 * 1024 * 1024;

/** Environment of the daemon's container, set in every podTemplate of ours. */
export const daemonEnv = {
  /** Root public key: SPKI, base64 of DER without line breaks. */
  rootKey: 'SOJOURN_ROOT_KEY',
  /** `metadata.namespace` and `metadata.name` by fieldRef; with the Pod's uid they are the audience of every token. */
  namespace: 'SOJOURN_NAMESPACE',
  sandbox: 'SOJOURN_SANDBOX',
  /** `metadata.uid` by fieldRef: tokens of an earlier Pod of that name are not for this one. */
  podUid: 'SOJOURN_POD_UID',
  /** `status.podIP` by fieldRef: the address to listen on. */
  listenAddress: 'SOJOURN_LISTEN_ADDRESS',
  listenPort: 'SOJOURN_LISTEN_PORT',
  /** Folder that files and commands are confined to; the container's working directory when unset. */
  workspace: 'SOJOURN_WORKSPACE',
} as const;

/** `PUT` of the current key set ({@link import('./keyset.ts').signKeySet}); answers 204. Needs no token: the set proves itself. */
export const keySetRoute = '/sojourn/v1/keyset';

/** Environment for a session's commands, given at its first use and never stored. */
export const environmentRoute = '/api/environment';

/** Media type of a pushed key set (a compact JWS, RFC 7515 §7.1). */
export const keySetMediaType = 'application/jose';
