import { EventEmitter, once } from 'node:events';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Readable, Writable } from 'node:stream';
import type { Log } from '../../../../apis/runtime/log.ts';
import { CriEncoder, type StreamName } from './cri-format.ts';

/** The log of one attempt of a container while it is being written. A slow disk slows the process down; nothing is lost. */
export class LogFile {
  readonly path: string;
  readonly #file: FileHandle;
  readonly #sink: Writable;
  readonly #attached: { source: Readable; encoder: CriEncoder }[] = [];
  readonly #changes = new EventEmitter().setMaxListeners(0);
  #version = 0;
  #open = true;

  private constructor(path: string, file: FileHandle, log: Log) {
    this.path = path;
    this.#file = file;
    this.#sink = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        void file
          .appendFile(chunk)
          // A full disk must not stop the process: its output is dropped until there is room again.
          .catch((error: unknown) => log.warn('output of a container was dropped', { path, error }))
          .then(() => this.#changed())
          .then(() => done());
      },
    });
    this.#sink.setMaxListeners(0);
  }

  static async open(path: string, log: Log): Promise<LogFile> {
    await mkdir(dirname(path), { recursive: true });
    return new LogFile(path, await open(path, 'a'), log);
  }

  /** Whether more may be written. */
  get open(): boolean {
    return this.#open;
  }

  /** Grows with every change of the file; see {@link LogFile.changedSince}. */
  get version(): number {
    return this.#version;
  }

  /** Writes what a process writes, until its stream ends or the log is closed. */
  attach(source: Readable, name: StreamName): void {
    const encoder = new CriEncoder(name);
    this.#attached.push({ source, encoder });
    // A pipe that breaks has simply ended; how the process ended is told by its exit.
    source.once('error', () => encoder.end());
    source.pipe(encoder).pipe(this.#sink, { end: false });
  }

  /** Resolves once something was written, or the log closed, after the given version; rejects with the signal. */
  async changedSince(version: number, signal: AbortSignal): Promise<void> {
    if (this.#open && this.#version === version) await once(this.#changes, 'change', { signal });
  }

  /** Ends the log with all in it that was read from the process so far. */
  async close(): Promise<void> {
    for (const { source, encoder } of this.#attached) {
      if (encoder.readableEnded) continue;
      const ended = once(encoder, 'end');
      source.unpipe(encoder);
      source.destroy();
      encoder.end();
      await ended;
    }
    await new Promise<void>((resolve) => this.#sink.end(resolve));
    await this.#file.close();
    this.#open = false;
    this.#changed();
  }

  #changed(): void {
    this.#version++;
    this.#changes.emit('change');
  }
}
