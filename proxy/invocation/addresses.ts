import { BlockList, isIP, isIPv6 } from 'node:net';

function createBlockList(ranges: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList();
  for (const [network, prefix] of ranges) list.addSubnet(network, prefix, isIPv6(network) ? 'ipv6' : 'ipv4');
  return list;
}

/** Where no Pod can be: unspecified, link-local (with the clouds' metadata services), multicast and reserved ranges. */
const neverDialled = createBlockList([
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['::', 128],
  ['fe80::', 10],
  ['ff00::', 8],
  // Metadata service of AWS over IPv6; the other clouds' are link-local.
  ['fd00:ec2::254', 128],
]);
const loopback = createBlockList([
  ['127.0.0.0', 8],
  ['::1', 128],
]);

/**
 * Why a Pod's address must not be dialled; undefined when it may. A Pod's status can be written by others than kubelet,
 * and an address in it must never turn us against our own host or the cloud's metadata service.
 */
export function addressProblem(address: string, { allowLoopback }: { allowLoopback: boolean }): string | undefined {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  // A zone (fe80::1%eth0) passes isIP, but no Pod's address has one.
  if (isIP(address) === 0 || address.includes('%')) return 'is not an IP address';
  // BlockList sees through IPv4-mapped IPv6 addresses.
  if (neverDialled.check(address, family)) return 'is not one that a Pod can have';
  if (!allowLoopback && loopback.check(address, family)) return 'is a loopback address';
  return undefined;
}

/** Whether an IP address is of this host only. */
export function isLoopback(address: string): boolean {
  return isIP(address) !== 0 && loopback.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/** `scheme://host:port` of a port of an address. */
export function originOf(address: string, { port, protocol }: { port: number; protocol: 'HTTP' | 'HTTPS' }): string {
  const host = isIPv6(address) ? `[${address}]` : address;
  return `${protocol === 'HTTPS' ? 'https' : 'http'}://${host}:${port}`;
}
