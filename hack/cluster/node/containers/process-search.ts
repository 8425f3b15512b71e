import { readdir, readFile } from 'node:fs/promises';
import type { Environment } from './environment.ts';

/** Whose processes are meant: one container's, or all of a Pod's. */
export interface ProcessOwner {
  uid: string;
  container?: string;
}

const podVariable = 'SOJOURN_POD_UID';
const containerVariable = 'SOJOURN_CONTAINER';

/** Variables that every process of a container carries and hands on to its children. */
export function markersOf(owner: Required<ProcessOwner>): Environment {
  return { [podVariable]: owner.uid, [containerVariable]: owner.container };
}

/** One process of this machine. */
interface ProcessEntry {
  pid: number;
  parent: number;
  session: number;
  uid: string | undefined;
  container: string | undefined;
}

/**
 * Finds and kills processes by what ties them to a Pod: its markers in their environment, a session that a container
 * began, or being the child of one of these. A process must shed all three to escape, as it would have to leave its
 * cgroup on a real node. Searches that are asked for at the same time share one look at the process table.
 */
export class ProcessSearch {
  #next: Promise<ProcessEntry[]> | undefined;

  /**
   * Sends SIGKILL to all processes of these owners and sessions, again until none is left.
   * Returns how many there were.
   */
  async killAll(owners: readonly ProcessOwner[], sessions: readonly number[] = []): Promise<number> {
    const killed = new Set<number>();
    // A process may fork between the look and the signal; its child is found by the next look.
    for (let round = 0; round < 20; round++) {
      const found = belonging(await this.#look(), owners, sessions);
      if (found.length === 0) break;
      for (const pid of found) if (sendSignal(pid, 'SIGKILL')) killed.add(pid);
    }
    return killed.size;
  }

  #look(): Promise<ProcessEntry[]> {
    // Begun in a later turn: all who ask in this one get a look that began after they asked.
    this.#next ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      this.#next = undefined;
      return processTable();
    });
    return this.#next;
  }
}

/** Sends a signal to a process, or to a group when negative; false when there is none. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

function belonging(
  table: readonly ProcessEntry[],
  owners: readonly ProcessOwner[],
  sessions: readonly number[],
): number[] {
  const found = new Set<number>();
  for (const entry of table) {
    const marked = owners.some(
      (owner) => owner.uid === entry.uid && (owner.container === undefined || owner.container === entry.container),
    );
    if (marked || sessions.includes(entry.session)) found.add(entry.pid);
  }
  for (let before = -1; before !== found.size; ) {
    before = found.size;
    for (const entry of table) if (found.has(entry.parent)) found.add(entry.pid);
  }
  return [...found];
}

async function processTable(): Promise<ProcessEntry[]> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const entries = await Promise.all(names.map(readEntry));
  return entries.filter((entry) => entry !== undefined);
}

/** Reads one process (proc(5)); undefined when it is gone, another user's, or a zombie that nothing can kill. */
async function readEntry(name: string): Promise<ProcessEntry | undefined> {
  try {
    const [stat, environ] = await Promise.all([
      readFile(`/proc/${name}/stat`, 'latin1'),
      readFile(`/proc/${name}/environ`, 'latin1'),
    ]);
    // The command, in parentheses, may hold spaces and parentheses itself.
    const [state, parent, , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || state === 'X') return undefined;
    const variables = new Map(environ.split('\0').map((pair) => splitPair(pair)));
    return {
      pid: Number(name),
      parent: Number(parent),
      session: Number(session),
      uid: variables.get(podVariable),
      container: variables.get(containerVariable),
    };
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(code)) return undefined;
    throw error;
  }
}

function splitPair(pair: string): [string, string] {
  const at = pair.indexOf('=');
  return at === -1 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
}
