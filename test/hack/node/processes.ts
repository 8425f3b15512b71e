import { readFile } from 'node:fs/promises';
import { until } from '../../support/until.ts';

/** Whether a process exists and is no zombie. */
export async function isAlive(pid: number): Promise<boolean> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

/** The numbers that a script has written to a file, one a line, once there are so many. */
export async function pidsIn(file: string, count = 1): Promise<number[]> {
  return await until(`${count} process ids in ${file}`, async () => {
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
    const pids = text
      .split('\n')
      .filter((line) => /^\d+$/.test(line))
      .map(Number);
    return pids.length >= count && text.endsWith('\n') ? pids : undefined;
  });
}
