import { statfs } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import type { ResourceList } from '../api/pod.ts';

/** What this machine has to give to Pods; `dir` is on the disk that holds their files. */
export async function machineCapacity(dir: string): Promise<ResourceList> {
  const disk = await statfs(dir);
  return {
    cpu: String(cpus().length),
    memory: `${Math.floor(totalmem() / 1024)}Ki`,
    'ephemeral-storage': `${Math.floor((disk.blocks * disk.bsize) / 1024)}Ki`,
    // Many more than a real node takes: Pods without a process cost next to nothing.
    pods: '20000',
  };
}
