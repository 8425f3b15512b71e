import { Buffer } from 'node:buffer';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';

/** How much of each output stream one answer carries, in bytes. */
export const outputLimitBytes = 2 * 1024 * 1024;

/**
 * The beginning of an output stream. What goes over the limit is read and forgotten, so that nobody blocks on it.
 * It has to be made in the tick that started the process: Node throws away what a process that has ended wrote to a
 * stream nobody reads, and says only once that a stream is closed.
 */
export class Capture {
  /** Resolves when every process has closed its end. */
  readonly closed: Promise<void>;
  readonly #stream: Readable;
  readonly #limitBytes: number;
  #chunks: Buffer[] = [];
  #size = 0;
  #truncated = false;
  #taken = false;

  constructor(stream: Readable, limitBytes: number) {
    this.#stream = stream;
    this.#limitBytes = limitBytes;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    stream.on('data', (chunk: Buffer) => this.#add(chunk));
    if (stream.closed || stream.destroyed) resolve();
    else stream.once('close', resolve);
  }

  /** Whether output was cut at the limit. */
  get truncated(): boolean {
    return this.#truncated;
  }

  /** The text so far; bytes that are not UTF-8 become U+FFFD. Everything later is forgotten. */
  take(): string {
    const bytes = Buffer.concat(this.#chunks, this.#size);
    this.#taken = true;
    this.#chunks = [];
    // `stream` leaves out a character that was cut in the middle instead of spoiling it.
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes, { stream: this.#truncated });
  }

  /** Lets the stream stay open without keeping this process alive. */
  release(): void {
    if (this.#stream instanceof Socket) this.#stream.unref();
  }

  /** Gives the stream up, of a process that was never there. */
  discard(): void {
    this.#stream.destroy();
  }

  #add(chunk: Buffer): void {
    if (this.#taken) return;
    const kept = chunk.subarray(0, this.#limitBytes - this.#size);
    if (kept.length < chunk.length) this.#truncated = true;
    if (kept.length === 0) return;
    this.#size += kept.length;
    this.#chunks.push(kept);
  }
}
