import { join } from 'node:path';
import type { KubeClient } from '../../apis/client/transport.ts';
import { systemNamespace } from '../../apis/names.ts';
import { writeFileAtomically } from './files.ts';

/** Tokens are renewed long before they end, as kubelet does for a Pod's. */
const tokenLifetimeSeconds = 24 * 3600;
const renewalMs = 6 * 3600 * 1000;

/** A ServiceAccount's credentials in files: what a Pod would find mounted. */
export interface AccountFiles {
  kubeconfig: string;
  stop(): void;
}

/** Writes a kubeconfig whose token file is kept fresh, so that a process runs with an account of the cluster and nothing more. */
export async function writeAccountFiles(options: {
  client: KubeClient;
  account: string;
  dir: string;
  caFile: string;
  onError: (error: unknown) => void;
}): Promise<AccountFiles> {
  const { client, account, dir, caFile, onError } = options;
  const tokenFile = join(dir, `${account}.token`);
  const kubeconfig = join(dir, `${account}.kubeconfig`);
  const renew = async () => {
    const { status } = await client.request<{ status: { token: string } }>({
      method: 'POST',
      path: `/api/v1/namespaces/${systemNamespace}/serviceaccounts/${account}/token`,
      body: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { expirationSeconds: tokenLifetimeSeconds },
      },
    });
    await writeFileAtomically(tokenFile, status.token);
  };
  await renew();
  const content = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'sojourn', cluster: { server: client.server, 'certificate-authority': caFile } }],
    users: [{ name: account, user: { tokenFile } }],
    contexts: [{ name: 'sojourn', context: { cluster: 'sojourn', user: account, namespace: systemNamespace } }],
    'current-context': 'sojourn',
  };
  // JSON is YAML too.
  await writeFileAtomically(kubeconfig, JSON.stringify(content, undefined, 2));
  const timer = setInterval(() => void renew().catch(onError), renewalMs);
  return { kubeconfig, stop: () => clearInterval(timer) };
}
