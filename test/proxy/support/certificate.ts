import { createAuthority, issueLeaf } from '../../../hack/cluster/certificates.ts';

export interface ServingCertificate {
  cert: Buffer;
  key: Buffer;
  /** PEM, for clients. */
  ca: string;
}

/** A certificate for 127.0.0.1 and localhost, with the authority that signed it. */
export async function newServingCertificate(): Promise<ServingCertificate> {
  const authority = await createAuthority('proxy-tests');
  const { cert, key } = await issueLeaf(authority, {
    commonName: 'proxy',
    usages: ['server'],
    subjectAltNames: ['localhost', '127.0.0.1'],
  });
  return { cert: Buffer.from(cert), key: Buffer.from(key), ca: authority.cert };
}
