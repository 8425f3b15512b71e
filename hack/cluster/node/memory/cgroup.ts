import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { sendSignal } from '../containers/process-search.ts';
import type { MemoryLimit } from './memory-limits.ts';

/** The files of one version of the memory controller (Documentation/admin-guide/cgroup-v1/memory.rst, cgroup-v2.rst). */
interface Controller {
  limit: string;
  /** Has a line `oom_kill COUNT`. */
  events: string;
  /** Whether the kernel kills all processes of a group together, as kubelet has it, or only the largest. */
  killsGroup: boolean;
  /** What else is written when a group is made, as far as there are such files. */
  settings: (bytes: number) => Readonly<Record<string, string>>;
}

const version1: Controller = {
  limit: 'memory.limit_in_bytes',
  events: 'memory.oom_control',
  killsGroup: false,
  settings: (bytes) => ({ 'memory.memsw.limit_in_bytes': String(bytes) }),
};
const version2: Controller = {
  limit: 'memory.max',
  events: 'memory.events',
  killsGroup: true,
  // None gets away into swap.
  settings: () => ({ 'memory.oom.group': '1', 'memory.swap.max': '0' }),
};

/** How soon the rest of a group is killed where the kernel does not do it. */
const lookMs = 500;
const root = '/sys/fs/cgroup';
/** The name of a group tells which process made it, so that nobody takes it for a leftover as long as that one lives. */
const groupPrefix = 'sojourn-';
const ownPrefix = `${groupPrefix}${process.pid}-`;

/**
 * The cgroup in which this process may make others with a memory limit; undefined when there is none. Tried are its
 * own and, for version 2, the one above, where a user's session manager lets it.
 */
export async function findCgroupParent(): Promise<CgroupParent | undefined> {
  for (const { dir, controller } of await candidates()) {
    const parent = new CgroupParent(dir, controller);
    if (await parent.isUsable()) {
      await parent.removeLeftovers();
      return parent;
    }
  }
  return undefined;
}

async function candidates(): Promise<{ dir: string; controller: Controller }[]> {
  const text = await readFile('/proc/self/cgroup', 'utf8').catch(() => '');
  const found: { dir: string; controller: Controller }[] = [];
  for (const line of text.trim().split('\n')) {
    const [id, controllers = '', path = '/'] = line.split(':');
    if (controllers.split(',').includes('memory')) {
      found.push({ dir: join(root, 'memory', path), controller: version1 });
    } else if (id === '0' && controllers === '') {
      const own = join(root, path);
      found.push({ dir: own, controller: version2 });
      if (own !== root) found.push({ dir: dirname(own), controller: version2 });
    }
  }
  return found;
}

/** A cgroup that holds one for each limited container. */
export class CgroupParent {
  readonly dir: string;
  readonly #controller: Controller;
  /** Groups of which the kernel may have killed one process and left the others. */
  readonly #watched = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(dir: string, controller: Controller) {
    this.dir = dir;
    this.#controller = controller;
  }

  async isUsable(): Promise<boolean> {
    const probe = join(this.dir, `${ownPrefix}probe`);
    try {
      await mkdir(probe);
    } catch {
      return false;
    }
    try {
      await this.#limit(probe, 64 * 1024 * 1024);
      const events = await readFile(join(probe, this.#controller.events), 'utf8');
      return events.includes('oom_kill ');
    } catch {
      return false;
    } finally {
      await removeGroup(probe);
    }
  }

  /** Removes groups of nodes that were killed; one in which a process still runs stays. */
  async removeLeftovers(): Promise<void> {
    const names = (await readdir(this.dir)).filter((name) => name.startsWith(groupPrefix) && !isOwned(name));
    await Promise.all(names.map((name) => rmdir(join(this.dir, name)).catch(() => undefined)));
  }

  async prepare(key: string, bytes: number): Promise<MemoryLimit> {
    const group = join(this.dir, `${ownPrefix}${key}`);
    await mkdir(group, { recursive: true });
    await this.#limit(group, bytes);
    return {
      joinFile: join(group, 'cgroup.procs'),
      started: () => {
        if (this.#controller.killsGroup) return;
        this.#watched.add(group);
        this.#timer ??= setTimeout(() => this.#look(), lookMs);
      },
      exceeded: async () => this.#exceeded(group),
      release: async () => {
        this.#watched.delete(group);
        await removeGroup(group);
      },
    };
  }

  /** Reads at once and in one go: these files answer from memory. */
  #exceeded(group: string): boolean {
    const events = readFileSync(join(group, this.#controller.events), 'utf8');
    return Number(/^oom_kill (\d+)$/m.exec(events)?.[1] ?? '0') > 0;
  }

  #look(): void {
    this.#timer = undefined;
    for (const group of this.#watched) {
      if (!this.#exceeded(group)) continue;
      for (const pid of readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n')) {
        if (pid !== '') sendSignal(Number(pid), 'SIGKILL');
      }
    }
    if (this.#watched.size > 0) this.#timer = setTimeout(() => this.#look(), lookMs);
  }

  async #limit(group: string, bytes: number): Promise<void> {
    await writeFile(join(group, this.#controller.limit), String(bytes));
    for (const [file, value] of Object.entries(this.#controller.settings(bytes))) {
      await writeFile(join(group, file), value).catch((error: NodeJS.ErrnoException) => {
        // A kernel without swap accounting or without group kills.
        if (!['ENOENT', 'EACCES', 'EOPNOTSUPP'].includes(error.code ?? '')) throw error;
      });
    }
  }
}

/** Whether the process that made a group lives; between making and filling it the group looks like a leftover. */
function isOwned(name: string): boolean {
  const [id = ''] = name.slice(groupPrefix.length).split('-');
  return /^\d+$/.test(id) && existsSync(`/proc/${id}`);
}

/** A group may stay busy for a moment after its last process. */
async function removeGroup(group: string): Promise<void> {
  for (let tries = 0; tries < 20; tries++) {
    try {
      await rmdir(group);
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return;
      if (code !== 'EBUSY') throw error;
      await new Promise((resolve) => setTimeout(resolve, 10 * (tries + 1)));
    }
  }
}
