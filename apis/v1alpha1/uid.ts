import { hash } from 'node:crypto';

/** Namespace of Session uids (RFC 9562 §5.5). Changing it would change every Session's identity. */
const sessionNamespace = Buffer.from('6f2c2f0e5d0b4c0fa1d4b7a1f6a3c9e2', 'hex');

/**
 * uid of the Session that a Sandbox bears: UUIDv5 of the Sandbox's. It must differ from the Sandbox's own,
 * since the garbage collector's graph is keyed by uid alone.
 */
export function sessionUid(sandboxUid: string): string {
  const digest = hash('sha1', Buffer.concat([sessionNamespace, Buffer.from(sandboxUid)]), 'buffer').subarray(0, 16);
  digest.writeUInt8((digest.readUInt8(6) & 0x0f) | 0x50, 6);
  digest.writeUInt8((digest.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = digest.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
