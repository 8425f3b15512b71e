import { readFile } from 'node:fs/promises';

/**
 * A process, told apart from a later one that was given the same pid.
 * `startTime` is field 22 of /proc/PID/stat (clock ticks since boot, proc(5)), or `''` where there is no /proc.
 */
export interface ProcessIdentity {
  pid: number;
  startTime: string;
}

/** The identity of the running process `pid`, or undefined when there is none (a zombie counts as none). */
export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  if (process.platform !== 'linux') {
    return signalIfPresent(pid, 0) ? { pid, startTime: '' } : undefined;
  }
  let stat: string;
  try {
    stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
  // The second field is the command in parentheses and may itself hold blanks and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state] = fields;
  const startTime = fields[19];
  return state === 'Z' || state === 'X' || startTime === undefined ? undefined : { pid, startTime };
}

/** Whether exactly this process still runs. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  const now = await identify(identity.pid);
  return now !== undefined && now.startTime === identity.startTime;
}

/**
 * Sends `signal` to every process of the group that `leader` leads.
 * Answers false when there is no such group; true also while only zombies are left in it.
 */
export function signalGroup(leader: number, signal: NodeJS.Signals | 0): boolean {
  return signalIfPresent(-leader, signal);
}

function signalIfPresent(target: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(target, signal);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ESRCH') return false;
    if (code === 'EPERM') return true;
    throw error;
  }
}
