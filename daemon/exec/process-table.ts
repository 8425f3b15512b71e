import { Buffer } from 'node:buffer';
import { readdir, readFile } from 'node:fs/promises';
import { errorCode } from '../http/errors.ts';

/** A running process as /proc shows it (proc(5)); zombies are none. */
export interface Process {
  pid: number;
  parent: number;
  group: number;
  /** `NAME=value` entries, each one ended by NUL, as the process was started; empty when we may not read it. */
  environment: Buffer;
}

/**
 * Looks at all processes. A look costs some file reads for each of them, and many commands may have to be killed at
 * the same moment, so all who ask during one look share the next.
 */
export class ProcessTable {
  #current: Promise<Process[]> | undefined;
  #next: Promise<Process[]> | undefined;

  /** Every process that this one can see, looked at after this call. */
  async list(): Promise<Process[]> {
    if (this.#current === undefined) return await this.#look();
    this.#next ??= this.#lookAfter(this.#current);
    return await this.#next;
  }

  async #lookAfter(current: Promise<Process[]>): Promise<Process[]> {
    await Promise.allSettled([current]);
    this.#next = undefined;
    return await this.#look();
  }

  async #look(): Promise<Process[]> {
    this.#current = listProcesses();
    try {
      return await this.#current;
    } finally {
      this.#current = undefined;
    }
  }
}

async function listProcesses(): Promise<Process[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const processes = await Promise.all(pids.map((pid) => readProcess(Number(pid))));
  return processes.filter((process) => process !== undefined);
}

async function readProcess(pid: number): Promise<Process | undefined> {
  const stat = await readIfThere(`/proc/${pid}/stat`);
  // The name in parentheses may itself contain parentheses and blanks.
  const [state, parent, group] = stat
    .subarray(stat.lastIndexOf(')') + 2)
    .toString('latin1')
    .split(' ');
  if (state === undefined || state === '' || state === 'Z' || state === 'X') return undefined;
  return {
    pid,
    parent: Number(parent),
    group: Number(group),
    environment: await readIfThere(`/proc/${pid}/environ`),
  };
}

/** Empty when the process has gone, or belongs to somebody whose processes are not ours to see. */
async function readIfThere(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(errorCode(error) ?? '')) return Buffer.alloc(0);
    throw error;
  }
}
