import type { Log } from '../../apis/runtime/log.ts';
import { errorCode } from '../http/errors.ts';
import type { Process, ProcessTable } from './process-table.ts';

/** Environment variable by which the processes of a command are found again. */
export const markerName = 'SOJOURN_EXEC_ID';

/** How often a tree is looked for again: what forks while it is being killed is killed in the next round. */
const maxRounds = 50;
const pauseMs = 10;

export interface ProcessTree {
  /** Beginning of the marker's value that all processes of the tree carry. */
  marker: string;
  /** The first process, leader of the group, for as long as it has not been reaped and its number is its own. */
  leader: () => number | undefined;
}

/**
 * Kills a process tree with SIGKILL: the leader's process group, every process that carries the marker (so also one
 * that went into a session of its own), and the descendants that are still linked to one of these by their parents
 * (so also one that cleared its environment). A process escapes that does three things: it leaves the session, it
 * outlives its parent, and it clears its environment; so do processes that the daemon may not signal.
 */
export async function killTree(tree: ProcessTree, table: ProcessTable, log: Log): Promise<void> {
  const untouchable = new Set<number>();
  for (let round = 0; round < maxRounds; round += 1) {
    const members = membersOf(tree, await table.list()).filter((pid) => !untouchable.has(pid));
    const leader = tree.leader();
    if (leader !== undefined) kill(-leader);
    if (members.length === 0) return;
    for (const pid of members) {
      if (!kill(pid)) untouchable.add(pid);
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  log.warn('processes of a command survive', { marker: tree.marker });
}

function membersOf(tree: ProcessTree, processes: readonly Process[]): number[] {
  const entry = `${markerName}=${tree.marker}`;
  const leader = tree.leader();
  const members = new Set<number>();
  for (const { pid, group, environment } of processes) {
    if (environment.includes(entry) || (leader !== undefined && (pid === leader || group === leader))) members.add(pid);
  }
  let before: number;
  do {
    before = members.size;
    for (const { pid, parent } of processes) if (members.has(parent)) members.add(pid);
  } while (members.size > before);
  return [...members];
}

/** Whether the process is gone or going; false when it is not ours to kill. */
function kill(pid: number): boolean {
  try {
    process.kill(pid, 'SIGKILL');
    return true;
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ESRCH') return true;
    if (code === 'EPERM') return false;
    throw error;
  }
}
