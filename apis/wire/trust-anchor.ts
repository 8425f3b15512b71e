import { createHash } from 'node:crypto';

/** What a new sandbox is told to trust, as its environment carries it. */
export interface TrustAnchors {
  /** Root public key, see {@link import('./daemon.ts').daemonEnv.rootKey}; for runtimes with authMode sojourn. */
  rootKey: string;
  /** Public key for AgentCube's PicoD, see {@link import('./picod.ts').picodKeyEnv}; for runtimes with authMode picod. */
  picodKey: string;
}

/** Trust anchors with the times from which on they are used, in milliseconds since the epoch: the later, the newer. */
export interface DatedTrustAnchors extends TrustAnchors {
  rootKeySince: number;
  picodKeySince: number;
}

/** A short name of a key that a sandbox was told to trust: 128 bits of SHA-256 over what its environment says. */
export function fingerprintOf(anchor: string): string {
  return createHash('sha256').update(anchor).digest().toString('base64url', 0, 16);
}
