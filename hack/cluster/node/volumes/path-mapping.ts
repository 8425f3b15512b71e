/** Where a path of the container's own file system is on this machine. */
export interface MappedPath {
  /** Absolute, as the container knows it. */
  path: string;
  /** Absolute, on this machine. */
  place: string;
}

/** What may stand before a path in a command line or a value: nothing, blanks, quotes, and what separates words. */
const before = '(?<=^|[\\s"\'`=:,;([{<>|&])';
/** A longer name is another path: `/data` is neither in `/data2` nor in `/data.txt`. */
const after = '(?![\\w.-])';

/**
 * Translates paths of a container to those of this machine, where no folder can appear at a mount path because
 * processes share one file system.
 */
export class PathMapping {
  readonly #places: ReadonlyMap<string, string>;
  readonly #mentions: RegExp | undefined;

  /** A path that is given twice counts once, as given last. */
  constructor(mapped: readonly MappedPath[]) {
    const paths = mapped.map(({ path, place }): [string, string] => [path.replace(/\/+$/, ''), place]);
    this.#places = new Map(paths.filter(([path]) => path.startsWith('/')));
    // Longest first: of two mounts, one inside the other, the inner one counts.
    const known = [...this.#places.keys()].sort((one, other) => other.length - one.length);
    const alternatives = known.map((path) => path.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|');
    this.#mentions = known.length === 0 ? undefined : new RegExp(`${before}(?:${alternatives})${after}`, 'g');
  }

  /** A command line word or a value with each mention of a mapped path, or of one beneath it, replaced. */
  translate(text: string): string {
    if (this.#mentions === undefined) return text;
    return text.replace(this.#mentions, (path) => this.#places.get(path) ?? path);
  }

  /** Whether this is a mapped path or one beneath it. */
  covers(path: string): boolean {
    return [...this.#places.keys()].some((mapped) => path === mapped || path.startsWith(`${mapped}/`));
  }
}
