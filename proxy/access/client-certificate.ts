import type { X509Certificate } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { connectionOf, type IncomingIdentity } from './connection.ts';

/** Extended key usage clientAuth (RFC 5280 §4.2.1.12). */
const clientAuth = '1.3.6.1.5.5.7.3.2';
const longestChain = 4;
/** A refused certificate may become valid: its time may begin. */
const refusedMs = 60_000;
const mostCertificates = 4096;

interface Verdict {
  authorities: readonly X509Certificate[];
  certificate: X509Certificate | undefined;
  /** Milliseconds since the epoch until which it holds, since certificates expire on open connections too. */
  until: number;
}

/**
 * The verified client certificate of a connection. The verdict is kept with the connection, so that a request costs no
 * cryptography; other authorities, and the end of any certificate of the chain, make a new one.
 */
export class ConnectionCertificates {
  readonly #now: () => number;
  readonly #verdicts = new WeakMap<object, Verdict>();
  /**
   * Verified certificates by fingerprint, with their chains: a resumed TLS session still proves the possession of its
   * certificate's key, but OpenSSL keeps only the leaf of the chain in its ticket.
   */
  readonly #verified = new LRUCache<string, X509Certificate>({ max: mostCertificates });

  /** @param now milliseconds since the epoch. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The certificate of a request's connection if it is a client's that chains to an authority; undefined otherwise. */
  verified(request: IncomingIdentity, authorities: readonly X509Certificate[]): X509Certificate | undefined {
    const found = connectionOf(request);
    if (found === undefined) return undefined;
    const known = this.#verdicts.get(found.connection);
    const now = this.#now();
    if (known !== undefined && known.authorities === authorities && now < known.until) return known.certificate;
    const verdict = this.#judge(found.socket.getPeerX509Certificate(), authorities, now);
    this.#verdicts.set(found.connection, verdict);
    return verdict.certificate;
  }

  #judge(presented: X509Certificate | undefined, authorities: readonly X509Certificate[], now: number): Verdict {
    if (presented === undefined) return { authorities, certificate: undefined, until: Number.POSITIVE_INFINITY };
    const { fingerprint256 } = presented;
    for (const candidate of [presented, this.#verified.get(fingerprint256)]) {
      const until = candidate === undefined ? undefined : trustedUntil(candidate, authorities, now);
      if (candidate === undefined || until === undefined) continue;
      this.#verified.set(fingerprint256, candidate);
      return { authorities, certificate: candidate, until };
    }
    return { authorities, certificate: undefined, until: now + refusedMs };
  }
}

/**
 * Until when (milliseconds since the epoch) a certificate is one for clients that chains to an authority; undefined when
 * it is none now. Stricter than Go's crypto/x509 where a certificate names no extended key usage, which Go lets pass.
 * Path lengths are not looked at: whoever holds a CA's key can sign a client's certificate without a longer path.
 */
function trustedUntil(leaf: X509Certificate, authorities: readonly X509Certificate[], now: number): number | undefined {
  if (!leaf.keyUsage?.includes(clientAuth)) return undefined;
  let current = leaf;
  let until = Number.POSITIVE_INFINITY;
  for (let length = 0; length < longestChain; length += 1) {
    if (!isCurrent(current, now)) return undefined;
    until = Math.min(until, Date.parse(current.validTo));
    const authority = authorities.find((candidate) => isCurrent(candidate, now) && isIssuedBy(current, candidate));
    if (authority !== undefined) return Math.min(until, Date.parse(authority.validTo));
    const issuer: X509Certificate | undefined = current.issuerCertificate;
    if (issuer === undefined || !isIssuedBy(current, issuer)) return undefined;
    current = issuer;
  }
  return undefined;
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function isCurrent(certificate: X509Certificate, now: number): boolean {
  return Date.parse(certificate.validFrom) <= now && now <= Date.parse(certificate.validTo);
}

/** Values of an attribute of a certificate's subject (`CN`, `O`), in order; several of one name are all there. */
export function subjectValues(certificate: X509Certificate, attribute: string): string[] {
  // The text form escapes what Node thinks needs it; only the object form has the values as they were signed.
  const value: unknown = Reflect.get(certificate.toLegacyObject().subject, attribute);
  const values: unknown[] = Array.isArray(value) ? value : [value];
  return values.filter((text) => typeof text === 'string');
}
