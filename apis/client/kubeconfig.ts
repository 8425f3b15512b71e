import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';
import { findHomeDir, KubeConfig, loadYaml } from '@kubernetes/client-node';

/** How long a token read from a file is used before the file is read again; kubelet renews it at 80 % of its life. */
const tokenFileMaxAgeMs = 60_000;

/** Where kube-apiserver is and how to prove who we are. */
export interface ClusterConfig {
  /** `https://host:port`, without a path. */
  server: string;
  /** PEM; the system's roots when absent. */
  ca?: string;
  /** PEM client certificate and key. */
  cert?: string;
  key?: string;
  /** The current bearer token. */
  token?: () => Promise<string>;
}

/**
 * Loads a kubeconfig (a file, or `$KUBECONFIG`, `~/.kube/config` and the in-cluster account in kubectl's order).
 * @throws Error when it has no current cluster.
 */
export async function loadClusterConfig(path?: string): Promise<ClusterConfig> {
  const kubeconfig = new KubeConfig();
  if (path === undefined) kubeconfig.loadFromDefault();
  else kubeconfig.loadFromFile(path);
  const cluster = kubeconfig.getCurrentCluster();
  if (cluster === null) throw new Error(`the kubeconfig ${path ?? ''} names no current cluster: set current-context`);
  const user = kubeconfig.getCurrentUser();
  const ca = await pem(cluster.caData, cluster.caFile);
  const cert = await pem(user?.certData, user?.certFile);
  const key = await pem(user?.keyData, user?.keyFile);
  const token = tokenSource(kubeconfig, await tokenFileOf(path === undefined ? defaultFiles() : [path], kubeconfig));
  return {
    server: cluster.server.replace(/\/+$/, ''),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(token === undefined ? {} : { token }),
  };
}

async function pem(data: string | undefined, file: string | undefined): Promise<string | undefined> {
  if (data !== undefined && data !== '') return Buffer.from(data, 'base64').toString('utf8');
  return file === undefined || file === '' ? undefined : await readFile(file, 'utf8');
}

/** The files that client-node's `loadFromDefault` reads; none where it takes the in-cluster account. */
function defaultFiles(): string[] {
  const named = (process.env.KUBECONFIG ?? '').split(delimiter).filter((file) => file !== '');
  if (named.length > 0) return named;
  const home = findHomeDir();
  const usual = home === null ? undefined : join(home, '.kube', 'config');
  return usual !== undefined && existsSync(usual) ? [usual] : [];
}

/** The `tokenFile` of the current user, which client-node does not read from kubeconfigs; relative to where it is named. */
async function tokenFileOf(files: readonly string[], kubeconfig: KubeConfig): Promise<string | undefined> {
  const current = kubeconfig.getCurrentUser()?.name;
  for (const file of files) {
    const content = loadYaml<{ users?: { name: string; user?: { tokenFile?: string } }[] } | undefined>(
      await readFile(file, 'utf8'),
    );
    const user = content?.users?.find(({ name }) => name === current)?.user;
    if (user?.tokenFile !== undefined) return resolve(dirname(file), user.tokenFile);
  }
  return undefined;
}

/** A bearer token by the user's token file, static token or credential plugin, in kubectl's order of precedence. */
function tokenSource(kubeconfig: KubeConfig, tokenFile: string | undefined): (() => Promise<string>) | undefined {
  const user = kubeconfig.getCurrentUser();
  if (user === null) return undefined;
  // In-cluster configurations name the file inside an auth provider of client-node's own.
  const inCluster = user.authProvider?.config as { tokenFile?: string } | undefined;
  const file = tokenFile ?? inCluster?.tokenFile;
  if (file !== undefined) return tokenFileSource(file);
  const fixed = user.token;
  if (fixed !== undefined && fixed !== '') return async () => fixed;
  if (user.exec === undefined && user.authProvider === undefined) return undefined;
  return async () => {
    const options: { headers: Record<string, string> } = { headers: {} };
    await kubeconfig.applyToHTTPSOptions(options);
    return (options.headers.Authorization ?? '').replace(/^Bearer /, '');
  };
}

function tokenFileSource(file: string): () => Promise<string> {
  let current: { token: string; readAt: number } | undefined;
  return async () => {
    if (current === undefined || Date.now() - current.readAt > tokenFileMaxAgeMs) {
      current = { token: (await readFile(file, 'utf8')).trim(), readAt: Date.now() };
    }
    return current.token;
  };
}
