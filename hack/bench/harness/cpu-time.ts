import { readdir, readFile } from 'node:fs/promises';

/**
 * CPU time that a process and all its threads have used, in user and kernel mode, in microseconds. From
 * /proc/PID/task/TID/schedstat, whose first field is nanoseconds (sched-stats.rst of the kernel's documentation), because
 * /proc/PID/stat counts in steps of 10 ms. Undefined where the system has no such files.
 */
export async function cpuTimeUs(pid: number): Promise<number | undefined> {
  try {
    const threads = await readdir(`/proc/${pid}/task`);
    const times = await Promise.all(threads.map((thread) => threadTimeNs(pid, thread)));
    return times.reduce((sum, time) => sum + time, 0) / 1000;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function threadTimeNs(pid: number, thread: string): Promise<number> {
  const schedstat = await readFile(`/proc/${pid}/task/${thread}/schedstat`, 'utf8');
  return Number(schedstat.split(' ')[0]);
}
