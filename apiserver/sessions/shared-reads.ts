/** Reads of one kind that are under way at once. */
const widest = 8;

interface Entry<T> {
  /** Undefined once it has ended: tables that the map has left behind may keep the entry, and must not keep what was read. */
  running: Promise<T> | undefined;
  /** The read that begins when the running one has ended. */
  next: Promise<T> | undefined;
}

/**
 * Lets many who ask for the same fresh state at once share one read. Whoever asks while a read is under way gets the
 * next one: the running one may have looked before something that the asker knows of.
 */
export class SharedReads<T> {
  readonly #entries = new Map<string, Entry<T>>();
  readonly #waiting: (() => void)[] = [];
  #under = 0;

  /** The result of a read that began after this call. */
  read(key: string, read: () => Promise<T>): Promise<T> {
    const entry = this.#entries.get(key);
    if (entry?.running === undefined) return this.#start(key, read);
    entry.next ??= entry.running.then(
      () => this.#start(key, read),
      () => this.#start(key, read),
    );
    return entry.next;
  }

  #start(key: string, read: () => Promise<T>): Promise<T> {
    const running = this.#limited(read);
    const entry: Entry<T> = { running, next: undefined };
    this.#entries.set(key, entry);
    const forget = () => {
      if (entry.next !== undefined || this.#entries.get(key) !== entry) return;
      this.#entries.delete(key);
      entry.running = undefined;
    };
    running.then(forget, forget);
    return running;
  }

  async #limited(read: () => Promise<T>): Promise<T> {
    if (this.#under >= widest) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#under += 1;
    try {
      return await read();
    } finally {
      this.#under -= 1;
      this.#waiting.shift()?.();
    }
  }
}
