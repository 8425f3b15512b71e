import { createPrivateKey, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { type Credential, createAuthority, issueLeaf, type LeafRequest, newKeyPair } from './certificates.ts';
import { readIfPresent, writeFileAtomically } from './files.ts';

/** The three authorities are apart because each is trusted for one thing only. */
const AUTHORITIES = {
  /** Signs every server, and clients of kube-apiserver and of the node: the "Kubernetes CA". */
  ca: 'sojourn-ca',
  /** Signs the one client that may speak for other users to an aggregated API server. */
  frontProxyCa: 'sojourn-front-proxy-ca',
  /** Signs the clients of etcd. Were it the first, any user of the cluster could write to etcd. */
  etcdCa: 'sojourn-etcd-ca',
} as const;

type AuthorityName = keyof typeof AUTHORITIES;

/** The node's name; its user name follows from it as kubelet's does (system:node:NAME in group system:nodes). */
export const NODE_NAME = 'sojourn-local';

const LOOPBACK = ['localhost', '127.0.0.1'];

const LEAVES = {
  etcd: leaf('etcdCa', { commonName: 'etcd', usages: ['server', 'client'], subjectAltNames: LOOPBACK }),
  etcdClient: leaf('etcdCa', { commonName: 'kube-apiserver', usages: ['client'] }),
  frontProxyClient: leaf('frontProxyCa', { commonName: 'front-proxy-client', usages: ['client'] }),
  kubeApiserver: leaf('ca', {
    commonName: 'kube-apiserver',
    usages: ['server'],
    // 10.0.0.1 is the first address of the Service range, which kube-apiserver gives to itself.
    subjectAltNames: [...LOOPBACK, ...serviceNames('kubernetes', 'default'), '10.0.0.1'],
  }),
  kubeletClient: leaf('ca', { commonName: 'kube-apiserver-kubelet-client', usages: ['client'] }),
  kubeControllerManager: leaf('ca', {
    commonName: 'system:kube-controller-manager',
    usages: ['client', 'server'],
    subjectAltNames: LOOPBACK,
  }),
  // The identity that the controller has in a real cluster, so that policies which name it hold here too.
  agentSandboxController: leaf('ca', {
    commonName: 'system:serviceaccount:agent-sandbox-system:agent-sandbox-controller',
    organizations: ['system:serviceaccounts', 'system:serviceaccounts:agent-sandbox-system'],
    usages: ['client'],
  }),
  nodeServer: leaf('ca', {
    commonName: NODE_NAME,
    usages: ['server'],
    subjectAltNames: [NODE_NAME, ...LOOPBACK],
  }),
  nodeClient: leaf('ca', {
    commonName: `system:node:${NODE_NAME}`,
    organizations: ['system:nodes'],
    usages: ['client'],
  }),
  admin: leaf('ca', { commonName: 'admin', organizations: ['system:masters'], usages: ['client'] }),
  alice: leaf('ca', { commonName: 'alice', organizations: ['sojourn-users'], usages: ['client'] }),
  bob: leaf('ca', { commonName: 'bob', organizations: ['sojourn-users'], usages: ['client'] }),
  sojournApiserver: leaf('ca', {
    commonName: 'sojourn-apiserver',
    usages: ['server'],
    subjectAltNames: [...LOOPBACK, ...serviceNames('sojourn-apiserver', 'sojourn-system')],
  }),
  sojournProxy: leaf('ca', {
    commonName: 'sojourn-proxy',
    usages: ['server'],
    subjectAltNames: [...LOOPBACK, ...serviceNames('sojourn-proxy', 'sojourn-system')],
  }),
} satisfies Record<string, Leaf>;

interface Leaf {
  authority: AuthorityName;
  request: LeafRequest;
}

/** Every certificate of the local cluster but the authorities. */
export type LeafName = keyof typeof LEAVES;

/** Paths of a certificate and its private key. */
export interface CredentialPaths {
  cert: string;
  key: string;
}

/** Paths of everything under `pki/`. */
export type Pki = Record<AuthorityName | LeafName, CredentialPaths> & {
  /** The key pair that service account tokens are signed and verified with. */
  serviceAccount: { publicKey: string; privateKey: string };
};

/**
 * Makes what is missing of the cluster's keys and certificates in `dir`. What is there stays as long as it is valid for
 * 30 more days, fits its key and authority and names what it should; the service account key stays for ever, so that
 * tokens outlive a restart.
 */
export async function ensurePki(dir: string): Promise<Pki> {
  const authorities = await mapValues(AUTHORITIES, (commonName, name) =>
    ensureAuthority(pathsOf(dir, name), commonName),
  );
  await mapValues(LEAVES, ({ authority, request }, name) =>
    ensureLeaf(pathsOf(dir, name), authorities[authority], request),
  );
  return {
    ...(await mapValues({ ...AUTHORITIES, ...LEAVES }, async (_, name) => pathsOf(dir, name))),
    serviceAccount: await ensureServiceAccountKey(dir),
  };
}

async function ensureAuthority(paths: CredentialPaths, commonName: string): Promise<Credential> {
  const present = await read(paths);
  if (present !== undefined && isFresh(present)) return present;
  return await write(paths, await createAuthority(commonName));
}

async function ensureLeaf(paths: CredentialPaths, authority: Credential, request: LeafRequest): Promise<void> {
  const present = await read(paths);
  if (present === undefined || !isFresh(present) || !isWhatIsWanted(present, authority, request)) {
    await write(paths, await issueLeaf(authority, request));
  }
}

async function ensureServiceAccountKey(dir: string): Promise<Pki['serviceAccount']> {
  const paths = { publicKey: join(dir, 'sa.pub'), privateKey: join(dir, 'sa.key') };
  if ((await readIfPresent(paths.publicKey)) === undefined) {
    const pair = await newKeyPair();
    await writeFileAtomically(paths.privateKey, pair.privateKey);
    // Last: it is the one that is looked for above.
    await writeFileAtomically(paths.publicKey, pair.publicKey, { mode: 0o644 });
  }
  return paths;
}

const RENEW_BEFORE_MS = 30 * 24 * 60 * 60 * 1000;

function isFresh({ cert, key }: Credential): boolean {
  const parsed = new X509Certificate(cert);
  return parsed.checkPrivateKey(createPrivateKey(key)) && parsed.validToDate.getTime() - Date.now() > RENEW_BEFORE_MS;
}

/** Compared as text as node:crypto prints it, one attribute per line. */
function isWhatIsWanted({ cert }: Credential, authority: Credential, request: LeafRequest): boolean {
  const parsed = new X509Certificate(cert);
  const subject = [...(request.organizations ?? []).map((name) => `O=${name}`), `CN=${request.commonName}`].join('\n');
  const names = (parsed.subjectAltName ?? '').split(', ').map((name) => name.replace(/^(DNS|IP Address):/, ''));
  return (
    parsed.verify(new X509Certificate(authority.cert).publicKey) &&
    parsed.subject === subject &&
    (request.subjectAltNames ?? ['']).join() === names.join()
  );
}

async function read(paths: CredentialPaths): Promise<Credential | undefined> {
  const [cert, key] = await Promise.all([readIfPresent(paths.cert), readIfPresent(paths.key)]);
  return cert === undefined || key === undefined ? undefined : { cert, key };
}

async function write(paths: CredentialPaths, credential: Credential): Promise<Credential> {
  await writeFileAtomically(paths.key, credential.key);
  await writeFileAtomically(paths.cert, credential.cert, { mode: 0o644 });
  return credential;
}

function pathsOf(dir: string, name: string): CredentialPaths {
  const file = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return { cert: join(dir, `${file}.crt`), key: join(dir, `${file}.key`) };
}

function leaf(authority: AuthorityName, request: LeafRequest): Leaf {
  return { authority, request };
}

function serviceNames(service: string, namespace: string): string[] {
  const name = `${service}.${namespace}`;
  return [service, name, `${name}.svc`, `${name}.svc.cluster.local`];
}

async function mapValues<K extends string, V, R>(
  record: Record<K, V>,
  map: (value: V, key: K) => Promise<R>,
): Promise<Record<K, R>> {
  const entries = Object.entries(record) as [K, V][];
  const mapped = await Promise.all(entries.map(async ([key, value]) => [key, await map(value, key)] as const));
  return Object.fromEntries(mapped) as Record<K, R>;
}
