import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Runs the verify twin of every generator. */
const generators = ['openapi-meta.ts'];

for (const generator of generators) {
  const file = fileURLToPath(new URL(`../generate/${generator}`, import.meta.url));
  const { status } = spawnSync(process.execPath, [file, 'verify'], { stdio: 'inherit' });
  process.stdout.write(`${generator}: ${status === 0 ? 'up to date' : 'OUT OF DATE'}\n`);
  if (status !== 0) process.exitCode = 1;
}
