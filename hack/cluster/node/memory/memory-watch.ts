import { readdirSync, readFileSync } from 'node:fs';
import { sendSignal } from '../containers/process-search.ts';
import type { MemoryLimit } from './memory-limits.ts';

/** Between two looks, but never so short that looking takes more than a twentieth of a core. */
const intervalMs = 200;
const restPerLook = 20;
const pageBytes = 4096;

interface Watched {
  session: number;
  bytes: number;
  exceeded: boolean;
}

interface ProcessMemory {
  pid: number;
  parent: number;
  session: number;
}

/**
 * Kills processes that together hold more memory of their own than their limit: for machines that let us make no
 * cgroups. It looks only while something is limited. What is allocated and freed between two looks is not seen.
 */
export class MemoryWatch {
  readonly #watched = new Set<Watched>();
  #timer: NodeJS.Timeout | undefined;

  /** Limits a session that is told of later, and what is begun from it. */
  prepare(bytes: number): MemoryLimit {
    const added: Watched[] = [];
    return {
      started: (session) => {
        const watched: Watched = { session, bytes, exceeded: false };
        added.push(watched);
        this.#watched.add(watched);
        this.#timer ??= setTimeout(() => this.#look(), intervalMs);
      },
      exceeded: async () => added.some(({ exceeded }) => exceeded),
      release: async () => {
        for (const watched of added) this.#watched.delete(watched);
      },
    };
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#watched.size === 0) return;
    const began = performance.now();
    const table = processes();
    for (const watched of this.#watched) {
      const members = membersOf(table, watched.session);
      const held = members.reduce((sum, pid) => sum + ownBytes(pid), 0);
      if (held <= watched.bytes) continue;
      watched.exceeded = true;
      for (const pid of members) sendSignal(pid, 'SIGKILL');
    }
    const took = performance.now() - began;
    this.#timer = setTimeout(() => this.#look(), Math.max(intervalMs, took * restPerLook));
  }
}

function membersOf(table: readonly ProcessMemory[], session: number): number[] {
  const members = new Set(table.filter((entry) => entry.session === session).map(({ pid }) => pid));
  for (let before = -1; before !== members.size; ) {
    before = members.size;
    for (const { pid, parent } of table) if (members.has(parent)) members.add(pid);
  }
  return [...members];
}

/** Read at once and in one go: /proc answers from memory, faster than a thread pool could pass it on. */
function processes(): ProcessMemory[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const stat = readIfThere(`/proc/${name}/stat`);
      if (stat === undefined) return [];
      const [, parent, , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return [{ pid: Number(name), parent: Number(parent), session: Number(session) }];
    });
}

/** Resident memory that is no file's and nobody else's (proc(5), statm). */
function ownBytes(pid: number): number {
  const [, resident, shared] = (readIfThere(`/proc/${pid}/statm`) ?? '').split(' ').map(Number);
  return ((resident ?? 0) - (shared ?? 0)) * pageBytes;
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
