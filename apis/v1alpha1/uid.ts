import { createHash } from 'node:crypto';

/** Namespace of Session uids (RFC 9562 §5.5). Changing it would change every Session's identity. */
const sessionNamespace = Buffer.from('6f2c2f0e5d0b4c0fa1d4b7a1f6a3c9e2', 'hex');

/**
 * uid of the Session that a Sandbox bears: UUIDv5 of the Sandbox's. It must differ from the Sandbox's own,
 * since the garbage collector's graph is keyed by uid alone.
 */
export function sessionUid(sandboxUid: string): string {
  const hash = createHash('sha1').update(sessionNamespace).update(sandboxUid).digest().subarray(0, 16);
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x50, 6);
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = hash.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
