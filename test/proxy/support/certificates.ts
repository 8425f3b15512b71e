import { readFile } from 'node:fs/promises';
import forge from 'node-forge';
import { type Credential, issueLeaf, type LeafRequest } from '../../../hack/cluster/certificates.ts';
import type { CredentialPaths } from '../../../hack/cluster/pki.ts';

const dayMs = 24 * 3600 * 1000;

/** A credential of the cluster's PKI, as PEM. */
export async function readCredential({ cert, key }: CredentialPaths): Promise<Credential> {
  return { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') };
}

/** A certificate changed in a way that no honest issuer would, and signed again. */
export async function issueChanged(
  authority: Credential,
  request: LeafRequest,
  change: (certificate: forge.pki.Certificate) => void,
): Promise<Credential> {
  const leaf = await issueLeaf(authority, request);
  const certificate = forge.pki.certificateFromPem(leaf.cert);
  change(certificate);
  certificate.sign(forge.pki.privateKeyFromPem(authority.key), forge.md.sha256.create());
  return { cert: forge.pki.certificateToPem(certificate), key: leaf.key };
}

/** A certificate whose time was over yesterday. */
export async function issueExpired(authority: Credential, request: LeafRequest): Promise<Credential> {
  return await issueChanged(authority, request, ({ validity }) => {
    validity.notBefore = new Date(Date.now() - 2 * dayMs);
    validity.notAfter = new Date(Date.now() - dayMs);
  });
}

/** An authority that another one vouches for; `cA: false` for one that is none. */
export async function issueIntermediate(authority: Credential, { cA }: { cA: boolean }): Promise<Credential> {
  return await issueChanged(authority, { commonName: 'intermediate', usages: ['client'] }, (certificate) => {
    certificate.setExtensions([
      { name: 'basicConstraints', critical: true, cA },
      { name: 'keyUsage', critical: true, keyCertSign: cA, digitalSignature: true },
      { name: 'extKeyUsage', clientAuth: true },
      { name: 'subjectKeyIdentifier' },
    ]);
  });
}

/** A client's certificate by an intermediate authority, sent with that authority's own. */
export async function issueThrough(intermediate: Credential, request: LeafRequest): Promise<Credential> {
  const leaf = await issueLeaf(intermediate, request);
  return { cert: leaf.cert + intermediate.cert, key: leaf.key };
}
