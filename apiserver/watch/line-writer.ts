import type { Writable } from 'node:stream';

/** Lines that go out in one write while a client is sent much at once. */
const batchBytes = 32 * 1024;

/** Writes lines to a client: one by one as they come, or many at once at the pace at which the client reads. */
export class LineWriter {
  readonly #output: Writable;
  #batch: Buffer[] = [];
  #bytes = 0;

  constructor(output: Writable) {
    this.#output = output;
  }

  /** Whether the client has not taken yet what was written. */
  get lags(): boolean {
    return this.#output.writableNeedDrain;
  }

  /** Writes a line now, after what was gathered. */
  write(line: Buffer): void {
    this.#send();
    this.#output.write(line);
  }

  /** Writes a line with the next ones; resolves when the client can be sent more. */
  async gather(line: Buffer): Promise<void> {
    this.#batch.push(line);
    this.#bytes += line.length;
    if (this.#bytes >= batchBytes) await this.flush();
  }

  /** Writes what was gathered; resolves when the client has taken it, or is gone. */
  async flush(): Promise<void> {
    this.#send();
    const output = this.#output;
    if (!output.writableNeedDrain || output.destroyed) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        output.off('drain', done);
        output.off('close', done);
        resolve();
      };
      output.on('drain', done);
      output.on('close', done);
    });
  }

  end(): void {
    this.#send();
    this.#output.end();
  }

  #send(): void {
    if (this.#batch.length === 0) return;
    this.#output.write(this.#batch.length === 1 ? this.#batch[0] : Buffer.concat(this.#batch));
    this.#batch = [];
    this.#bytes = 0;
  }
}
