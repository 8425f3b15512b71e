import { generateKeyPair, randomBytes } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { promisify } from 'node:util';
import forge from 'node-forge';

/** A certificate and its private key, both PEM. */
export interface Credential {
  cert: string;
  key: string;
}

/** What a leaf certificate is for and whom it names. */
export interface LeafRequest {
  /** Subject CN: the user name towards Kubernetes. */
  commonName: string;
  /** Subject O: the groups towards Kubernetes. */
  organizations?: string[];
  usages: ('client' | 'server')[];
  /** DNS names and IPv4 addresses. */
  subjectAltNames?: string[];
}

const DAY_MS = 24 * 60 * 60 * 1000;
const CA_DAYS = 3650;
const LEAF_DAYS = 365;

/** A new self-signed certificate authority, valid for ten years. */
export async function createAuthority(commonName: string): Promise<Credential> {
  const key = await newKeyPair();
  const subject = [{ name: 'commonName', value: commonName }];
  const cert = newCertificate(key.publicKey, { subject, issuer: subject, days: CA_DAYS });
  cert.setExtensions([
    { name: 'basicConstraints', critical: true, cA: true },
    { name: 'keyUsage', critical: true, keyCertSign: true, cRLSign: true, digitalSignature: true },
    { name: 'subjectKeyIdentifier' },
  ]);
  cert.sign(forge.pki.privateKeyFromPem(key.privateKey), forge.md.sha256.create());
  return { cert: forge.pki.certificateToPem(cert), key: key.privateKey };
}

/** A new leaf certificate, valid for one year, signed by `authority`. */
export async function issueLeaf(authority: Credential, request: LeafRequest): Promise<Credential> {
  const key = await newKeyPair();
  const issuer = forge.pki.certificateFromPem(authority.cert);
  const subject = [
    ...(request.organizations ?? []).map((value) => ({ name: 'organizationName', value })),
    { name: 'commonName', value: request.commonName },
  ];
  const cert = newCertificate(key.publicKey, { subject, issuer: issuer.subject.attributes, days: LEAF_DAYS });
  cert.setExtensions(leafExtensions(request, issuer));
  cert.sign(forge.pki.privateKeyFromPem(authority.key), forge.md.sha256.create());
  return { cert: forge.pki.certificateToPem(cert), key: key.privateKey };
}

/** A new RSA key pair as PEM. RSA because that is all that node-forge can put into a certificate. */
export function newKeyPair(): Promise<{ publicKey: string; privateKey: string }> {
  return promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
}

function newCertificate(
  publicKey: string,
  names: { subject: forge.pki.CertificateField[]; issuer: forge.pki.CertificateField[]; days: number },
): forge.pki.Certificate {
  const cert = forge.pki.createCertificate();
  cert.publicKey = forge.pki.publicKeyFromPem(publicKey);
  // RFC 5280 §4.1.2.2: positive, at most 20 octets; the leading 0x01 keeps the sign bit clear and the number non-zero.
  cert.serialNumber = `01${randomBytes(15).toString('hex')}`;
  // A minute back, for whoever compares with a clock that is a little slow.
  cert.validity.notBefore = new Date(Date.now() - 60_000);
  cert.validity.notAfter = new Date(Date.now() + names.days * DAY_MS);
  cert.setSubject(names.subject);
  cert.setIssuer(names.issuer);
  return cert;
}

function leafExtensions(request: LeafRequest, issuer: forge.pki.Certificate): object[] {
  const names = request.subjectAltNames ?? [];
  return [
    { name: 'basicConstraints', critical: true, cA: false },
    { name: 'keyUsage', critical: true, digitalSignature: true, keyEncipherment: true },
    {
      name: 'extKeyUsage',
      clientAuth: request.usages.includes('client'),
      serverAuth: request.usages.includes('server'),
    },
    { name: 'authorityKeyIdentifier', keyIdentifier: issuer.generateSubjectKeyIdentifier().getBytes() },
    ...(names.length === 0 ? [] : [{ name: 'subjectAltName', altNames: names.map(generalName) }]),
  ];
}

/** GeneralName tags of RFC 5280 §4.2.1.6. */
function generalName(name: string): object {
  return isIPv4(name) ? { type: 7, ip: name } : { type: 2, value: name };
}
