const secondMs = 1_000;

/** Many appointments, to the second, and one timer: what thousands of watches are to do once a minute. */
export class SecondHand {
  /** By the second of the monotonic clock in which they are due. */
  readonly #due = new Map<number, Set<() => void>>();
  #timer: NodeJS.Timeout | undefined;
  #now = 0;

  /** Calls back once, after so many milliseconds and at most a second more. The returned function calls it off. */
  after(ms: number, call: () => void): () => void {
    if (this.#timer === undefined) this.#now = second();
    // A second that is being told must not be added to.
    const at = Math.max(this.#now + 1, Math.ceil((performance.now() + ms) / secondMs));
    const calls = this.#due.get(at) ?? new Set();
    this.#due.set(at, calls.add(call));
    this.#timer ??= setInterval(() => this.#tick(), secondMs);
    return () => {
      calls.delete(call);
      if (calls.size === 0 && this.#due.get(at) === calls) this.#due.delete(at);
      this.#rest();
    };
  }

  #tick(): void {
    const until = second();
    // An event loop that stood still has several to tell.
    while (this.#now < until) {
      this.#now += 1;
      const calls = this.#due.get(this.#now);
      this.#due.delete(this.#now);
      for (const call of calls ?? []) call();
    }
    this.#rest();
  }

  /** Nobody waits: the process may end. */
  #rest(): void {
    if (this.#due.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

function second(): number {
  return Math.floor(performance.now() / secondMs);
}
