import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from './files.ts';
import type { CredentialPaths, LeafName, Pki } from './pki.ts';

/** Where each kubeconfig lies, and whose client certificate it holds. */
const KUBECONFIGS = {
  admin: 'kubeconfig',
  alice: 'users/alice.kubeconfig',
  bob: 'users/bob.kubeconfig',
  nodeClient: 'components/node.kubeconfig',
  kubeControllerManager: 'components/kube-controller-manager.kubeconfig',
  agentSandboxController: 'components/agent-sandbox-controller.kubeconfig',
} as const satisfies Partial<Record<LeafName, string>>;

/** Paths of the kubeconfigs of the local cluster. */
export type Kubeconfigs = Record<keyof typeof KUBECONFIGS, string>;

/** Writes all kubeconfigs under `dir`, with mode 0600 and the credentials inside, so that each can be copied alone. */
export async function writeKubeconfigs(options: { dir: string; server: string; pki: Pki }): Promise<Kubeconfigs> {
  const { dir, server, pki } = options;
  const certificateAuthority = await readFile(pki.ca.cert);
  const names = Object.keys(KUBECONFIGS) as (keyof typeof KUBECONFIGS)[];
  const written = names.map(async (name) => {
    const path = join(dir, KUBECONFIGS[name]);
    await writeFileAtomically(path, await kubeconfig({ server, certificateAuthority, user: name, client: pki[name] }));
    return [name, path] as const;
  });
  return Object.fromEntries(await Promise.all(written)) as Kubeconfigs;
}

async function kubeconfig(options: {
  server: string;
  certificateAuthority: Buffer;
  user: string;
  client: CredentialPaths;
}): Promise<string> {
  const { server, certificateAuthority, user, client } = options;
  const [cert, key] = await Promise.all([readFile(client.cert), readFile(client.key)]);
  return `apiVersion: v1
kind: Config
clusters:
- name: sojourn
  cluster:
    server: ${server}
    certificate-authority-data: ${certificateAuthority.toString('base64')}
users:
- name: ${user}
  user:
    client-certificate-data: ${cert.toString('base64')}
    client-key-data: ${key.toString('base64')}
contexts:
- name: ${user}@sojourn
  context:
    cluster: sojourn
    user: ${user}
    namespace: default
current-context: ${user}@sojourn
`;
}
