/** Things that wait for their turn: of groups that have some, each has its turn after all the others had theirs. */
export class Turns<T> {
  /** In the order of their turns; none is empty. */
  readonly #groups = new Map<string, T[]>();
  #size = 0;

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  /** How many of a group wait. */
  sizeOf(group: string): number {
    return this.#groups.get(group)?.length ?? 0;
  }

  push(group: string, item: T): void {
    const items = this.#groups.get(group);
    if (items === undefined) this.#groups.set(group, [item]);
    else items.push(item);
    this.#size += 1;
  }

  /** Takes what waits longest of the first group that may have a turn now. */
  take(mayHaveTurn: (group: string) => boolean = () => true): T | undefined {
    for (const [group, items] of this.#groups) {
      if (!mayHaveTurn(group)) continue;
      const item = items.shift();
      this.#groups.delete(group);
      if (items.length > 0) this.#groups.set(group, items);
      this.#size -= 1;
      return item;
    }
    return undefined;
  }

  clear(): void {
    this.#groups.clear();
    this.#size = 0;
  }
}
