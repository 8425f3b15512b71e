/** A call that keeps its session alive until it is ended. */
export interface ActivityLease {
  /** The call is over. Anything but the first time does nothing. */
  end(): void;
}

/** Calls `onEnd` when it is ended, once. */
export class Lease implements ActivityLease {
  #onEnd: (() => void) | undefined;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  end(): void {
    this.#onEnd?.();
    this.#onEnd = undefined;
  }
}
