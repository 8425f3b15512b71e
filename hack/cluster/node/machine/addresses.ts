import { createHash } from 'node:crypto';

/** Pods live in 127.64.0.0/10, which Linux answers on without any set-up and which 127.0.0.1 is no part of. */
const rangeStart = ((127 << 24) | (64 << 16)) >>> 0;
const rangeSize = 1 << 22;

/**
 * Gives each Pod an address of its own. Addresses are handed out in a circle, so that one which was given back is not
 * seen again soon: connections and caches of the Pod before it have long gone by then.
 */
export class AddressPool {
  readonly #taken = new Set<number>();
  #next: number;

  /** The seed decides where the circle begins: two nodes on one machine begin far apart and so do not collide. */
  constructor(seed: string) {
    const hash = createHash('sha256').update(seed).digest();
    this.#next = ((hash.readUInt8(0) & 0x3f) << 16) | (hash.readUInt8(1) << 8) | 1;
  }

  /** The given address when it is of this range and free (a Pod that had it before), else the next free one. */
  allocate(wanted?: string): string {
    const offset = wanted === undefined ? undefined : offsetOf(wanted);
    if (offset !== undefined && !this.#taken.has(offset)) {
      this.#taken.add(offset);
      this.#next = following(Math.max(this.#next, offset));
      return textOf(offset);
    }
    while (this.#taken.has(this.#next)) this.#next = following(this.#next);
    const free = this.#next;
    this.#taken.add(free);
    this.#next = following(free);
    return textOf(free);
  }

  release(address: string): void {
    const offset = offsetOf(address);
    if (offset !== undefined) this.#taken.delete(offset);
  }
}

/** Skips x.x.x.0 and x.x.x.255, which some programs take for network and broadcast addresses. */
function following(offset: number): number {
  const next = (offset + 1) % rangeSize;
  const last = next & 0xff;
  if (last === 0) return next + 1;
  return last === 0xff ? following(next) : next;
}

function offsetOf(address: string): number | undefined {
  const parts = address.split('.').map(Number);
  const [a, b, c, d] = parts;
  if (parts.length !== 4 || a === undefined || b === undefined || c === undefined || d === undefined) return undefined;
  const offset = (((a << 24) | (b << 16) | (c << 8) | d) >>> 0) - rangeStart;
  return offset >= 0 && offset < rangeSize ? offset : undefined;
}

function textOf(offset: number): string {
  const value = rangeStart + offset;
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join('.');
}
