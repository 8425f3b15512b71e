/** Keys `namespace/name` in the order of etcd, which is that of their bytes; a namespace's are next to each other. */
export class SortedKeys {
  #keys: string[] = [];

  replace(keys: Iterable<string>): void {
    // kube-apiserver lists in this order, so there is mostly nothing to sort.
    this.#keys = [...keys].sort(byBytes);
  }

  add(key: string): void {
    const at = this.#from(key);
    if (this.#keys[at] !== key) this.#keys.splice(at, 0, key);
  }

  delete(key: string): void {
    const at = this.#from(key);
    if (this.#keys[at] === key) this.#keys.splice(at, 1);
  }

  /** All keys, or those of one namespace. */
  of(namespace: string | undefined): readonly string[] {
    // What follows '/' in ASCII is '0'.
    return namespace === undefined
      ? this.#keys
      : this.#keys.slice(this.#from(`${namespace}/`), this.#from(`${namespace}0`));
  }

  /** Index of the first key that is not less. */
  #from(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#keys[middle] as string) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Names are ASCII, whose UTF-16 units compare as bytes do. */
function byBytes(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
