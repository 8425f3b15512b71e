/** Keys that wait for their turn: of groups that have some, each has its turn after all the others had theirs. */
export class FairQueue {
  readonly #groups = new Map<string, string[]>();

  push(group: string, key: string): void {
    const keys = this.#groups.get(group);
    if (keys === undefined) this.#groups.set(group, [key]);
    else keys.push(key);
  }

  /** Takes the next key of a group that may have a turn now. */
  take(mayHaveTurn: (group: string) => boolean): string | undefined {
    for (const [group, keys] of this.#groups) {
      if (!mayHaveTurn(group)) continue;
      const key = keys.shift();
      this.#groups.delete(group);
      if (keys.length > 0) this.#groups.set(group, keys);
      return key;
    }
    return undefined;
  }

  clear(): void {
    this.#groups.clear();
  }
}
