/** Bytes of bodies, or of an upgraded connection, that a call has moved so far. */
export interface BytesMoved {
  /** From the client. */
  readonly received: number;
  /** To the client. */
  readonly sent: number;
  readonly total: number;
}

/** Counts what a call moves; whoever moves it says so here. */
export class Traffic implements BytesMoved {
  readonly #onBytes: (bytes: number) => void;
  #received = 0;
  #sent = 0;

  /** @param onBytes called with the bytes of each piece as it passes. */
  constructor(onBytes: (bytes: number) => void) {
    this.#onBytes = onBytes;
  }

  get received(): number {
    return this.#received;
  }

  get sent(): number {
    return this.#sent;
  }

  get total(): number {
    return this.#received + this.#sent;
  }

  /** Bytes came from the client. */
  receive(bytes: number): void {
    this.#received += bytes;
    this.#onBytes(bytes);
  }

  /** Bytes were given to the client. */
  send(bytes: number): void {
    this.#sent += bytes;
    this.#onBytes(bytes);
  }
}
