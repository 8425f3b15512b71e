import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Log } from '../../apis/runtime/log.ts';
import { errorCode } from '../http/errors.ts';

/** Pipes made at a time, two for each command: one start of mkfifo(1) serves several commands. */
const batch = 16;
/** The next batch is made in the background when this many are left. */
const low = 6;

/**
 * A stock of pipes for the output of commands. Node connects a child by socket pairs, and a socket cannot be opened by
 * name: `echo x > /dev/stderr` fails with ENXIO (nodejs/node#21941). Node has no pipe(2) either, so these are FIFOs
 * whose names are gone. Each is used once: what one command can still reach must not carry another one's output.
 */
export class PipeStock {
  readonly #log: Log;
  /** Descriptors of reading ends. */
  readonly #ready: number[] = [];
  #making: Promise<boolean> | undefined;
  #closed = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Two new pipes; none where the image has no mkfifo(1) or they cannot be made now, and Node's sockets have to do. */
  async takeTwo(): Promise<[Pipe, Pipe] | undefined> {
    while (this.#ready.length < 2) if (!(await this.refill())) return undefined;
    const taken = this.#ready.splice(0, 2);
    if (this.#ready.length < low) void this.refill();
    const pipes: Pipe[] = [];
    try {
      for (const fd of taken) pipes.push(new Pipe(fd));
    } catch (error) {
      for (const pipe of pipes) pipe.discard();
      for (const fd of taken.slice(pipes.length)) closeSync(fd);
      this.#log.warn('a command gets no pipes: it cannot open /dev/stdout and /dev/stderr', { error });
    }
    const [first, second] = pipes;
    return first === undefined || second === undefined ? undefined : [first, second];
  }

  close(): void {
    this.#closed = true;
    for (const fd of this.#ready.splice(0)) closeSync(fd);
  }

  /** Makes the next pipes, and tells whether it could. Never rejects: without them commands run all the same. */
  async refill(): Promise<boolean> {
    if (this.#closed) return false;
    this.#making ??= this.#make()
      .then(
        () => true,
        (error: unknown) => {
          // What the image has not got will not come; anything else may be better with the next command.
          if (isProgramMissing(error)) this.#closed = true;
          this.#log.warn('no pipes for commands: they cannot open /dev/stdout and /dev/stderr', { error });
          return false;
        },
      )
      .finally(() => {
        this.#making = undefined;
      });
    return await this.#making;
  }

  async #make(): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'sojourn-pipes-'));
    try {
      const names = Array.from({ length: batch }, (_, index) => join(folder, String(index)));
      const child = spawn('mkfifo', ['-m', '600', ...names], { stdio: 'ignore' });
      const [code] = (await once(child, 'exit')) as [number | null];
      if (code !== 0) throw new Error(`mkfifo ended with ${code}`);
      const fds = openAll(names);
      if (this.#closed) for (const fd of fds) closeSync(fd);
      else this.#ready.push(...fds);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
}

function isProgramMissing(error: unknown): boolean {
  return errorCode(error) === 'ENOENT' && (error as NodeJS.ErrnoException).syscall?.startsWith('spawn') === true;
}

/** Opens the reading ends of all FIFOs or of none. Commands may own the folder as well and put other things there. */
function openAll(names: readonly string[]): number[] {
  const fds: number[] = [];
  try {
    for (const name of names) {
      const fd = openSync(name, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
      fds.push(fd);
      if (!fstatSync(fd).isFIFO()) throw new Error('something else has taken the place of a pipe');
    }
    return fds;
  } catch (error) {
    for (const fd of fds) closeSync(fd);
    throw error;
  }
}

/** One pipe on its way to a command: open the writing end, start the command, then read or discard. */
export class Pipe {
  readonly #readingEnd: number;
  readonly #writingEnd: number;

  constructor(readingEnd: number) {
    this.#readingEnd = readingEnd;
    this.#writingEnd = openSync(`/proc/self/fd/${readingEnd}`, constants.O_WRONLY);
  }

  /** For the command's stdio. */
  get writingEnd(): number {
    return this.#writingEnd;
  }

  /** The command has its writing end; what comes out of the pipe ends when the last holder closes it. */
  read(): Readable {
    closeSync(this.#writingEnd);
    return new Socket({ fd: this.#readingEnd, readable: true, writable: false });
  }

  discard(): void {
    closeSync(this.#writingEnd);
    closeSync(this.#readingEnd);
  }
}
