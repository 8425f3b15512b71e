import { join } from 'node:path';
import { checkout } from '../start/places.ts';

/** Makes Node keep what it compiled; for every Node that runs TypeScript of this checkout and is started often. */
export const compileCacheFlag = `--import=${join(checkout, 'hack/cluster/compile-cache.mjs')}`;

/** The command line that runs a program of this checkout, up to the program's own flags. */
export function programCommand(
  program: 'apiserver' | 'proxy' | 'daemon',
  nodeFlags: readonly string[] = [],
): [file: string, ...args: string[]] {
  return [process.execPath, compileCacheFlag, ...nodeFlags, join(checkout, program, 'main.ts')];
}
