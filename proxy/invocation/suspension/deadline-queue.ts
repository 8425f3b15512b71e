/** The longest a timer runs: clocks are set now and then, and timers do not follow them. */
const longestTimerMs = 60_000;
/** So many entries that count no more are put up with, besides as many as there are keys. */
const mostReplaced = 1_024;

interface Entry {
  key: string;
  at: number;
}

export interface DeadlineQueueOptions {
  /** Milliseconds since the epoch. */
  now: () => number;
  /** Called once for each key whose time has come; the key is out of the queue then. */
  onDue: (key: string) => void;
}

/** Many deadlines and one timer: a binary heap, so that thousands of sessions cost no more than one. */
export class DeadlineQueue {
  readonly #now: () => number;
  readonly #onDue: (key: string) => void;
  readonly #heap: Entry[] = [];
  /** The entry of each key that counts; any other of that key in the heap was replaced. */
  readonly #current = new Map<string, Entry>();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor({ now, onDue }: DeadlineQueueOptions) {
    this.#now = now;
    this.#onDue = onDue;
  }

  get size(): number {
    return this.#current.size;
  }

  /** Whether a key has a deadline. */
  has(key: string): boolean {
    return this.#current.has(key);
  }

  /** Sets a key's deadline, in place of the one that it has: milliseconds since the epoch. */
  set(key: string, at: number): void {
    if (this.#current.get(key)?.at === at) return;
    const entry = { key, at };
    this.#current.set(key, entry);
    this.#push(entry);
    this.#tidy();
    const first = this.#heap[0];
    // The clock may have been set since the timer was.
    if (first === entry || (first !== undefined && first.at <= this.#now())) this.#wait();
  }

  delete(key: string): void {
    this.#current.delete(key);
    this.#tidy();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#current.clear();
    this.#heap.length = 0;
  }

  #wait(): void {
    clearTimeout(this.#timer);
    const first = this.#heap[0];
    if (first === undefined || this.#stopped) return;
    const waitMs = Math.min(Math.max(0, first.at - this.#now()), longestTimerMs);
    this.#timer = setTimeout(() => this.#expire(), waitMs);
    this.#timer.unref();
  }

  #expire(): void {
    const now = this.#now();
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      const counts = this.#current.get(first.key) === first;
      if (counts && first.at > now) break;
      this.#pop();
      if (!counts) continue;
      this.#current.delete(first.key);
      this.#onDue(first.key);
    }
    this.#wait();
  }

  /** Far deadlines that are replaced again and again must not pile up until their time comes. */
  #tidy(): void {
    if (this.#heap.length <= 2 * this.#current.size + mostReplaced) return;
    const counting = [...this.#current.values()].sort((a, b) => a.at - b.at);
    this.#heap.length = 0;
    // What is sorted is a heap.
    for (const entry of counting) this.#heap.push(entry);
  }

  #push(entry: Entry): void {
    let index = this.#heap.push(entry) - 1;
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = this.#heap[above];
      if (parent === undefined || parent.at <= entry.at) break;
      this.#heap[index] = parent;
      index = above;
    }
    this.#heap[index] = entry;
  }

  #pop(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const right = left + 1;
      const below = (this.#heap[right]?.at ?? Infinity) < (this.#heap[left]?.at ?? Infinity) ? right : left;
      const child = this.#heap[below];
      if (child === undefined || child.at >= last.at) break;
      this.#heap[index] = child;
      index = below;
    }
    this.#heap[index] = last;
  }
}
