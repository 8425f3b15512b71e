import { isNewer } from './stored-activity.ts';

/** How far the watch has come with one session. */
export class WatchProgress {
  #version: string;
  #isOver = false;
  /** Called when more is known. */
  readonly #waiters = new Set<() => void>();

  constructor(resourceVersion: string) {
    this.#version = resourceVersion;
  }

  /** Whether the watch has brought a state of the session, or a later one. */
  has(resourceVersion: string): boolean {
    return !isNewer(resourceVersion, this.#version);
  }

  /** The watch has brought a state. */
  brought(resourceVersion: string): void {
    this.#version = resourceVersion;
    for (const look of this.#waiters) look();
  }

  /** Nobody need wait any more. */
  end(): void {
    this.#isOver = true;
    for (const look of this.#waiters) look();
  }

  /** Resolves when the watch has brought a state, when it is no use to wait, or after a time; `has` tells which. */
  async reach(resourceVersion: string, timeoutMs: number): Promise<void> {
    const isReached = () => this.#isOver || this.has(resourceVersion);
    if (isReached()) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => {
      if (isReached()) resolve();
    };
    this.#waiters.add(look);
    const timer = setTimeout(resolve, timeoutMs);
    await promise;
    clearTimeout(timer);
    this.#waiters.delete(look);
  }
}
