import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureBinaries } from '../kube/binaries.ts';
import { streamReporter } from '../kube/progress.ts';
import { SetupError } from '../kube/setup-error.ts';
import { lanesOf } from './lanes.ts';
import { runLane } from './run-lane.ts';

/**
 * `npm test [-- PATTERN...]`: makes sure that the Kubernetes binaries are there, then runs every test whose path holds
 * one of the patterns. The last line counts: `N passed, N failed[, N skipped]`.
 */

const root = fileURLToPath(new URL('../..', import.meta.url));

async function findTests(patterns: readonly string[]): Promise<string[]> {
  const entries = await readdir(join(root, 'test'), { recursive: true });
  const files = entries
    .filter((entry) => entry.endsWith('.test.ts'))
    .map((entry) => relative(root, join(root, 'test', entry)));
  return files.filter((file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)));
}

async function run(): Promise<number> {
  const lanes = lanesOf(await findTests(process.argv.slice(2)));
  if (lanes.length === 0) {
    process.stderr.write('no test file matches; patterns are parts of paths, such as daemon or apiserver/watch\n');
    return 2;
  }
  await ensureBinaries(streamReporter(process.stdout));
  const write = (text: string) => process.stdout.write(text);
  const counts = await Promise.all(lanes.map((lane) => runLane(lane, { cwd: root, write })));
  const sum = (count: 'passes' | 'failures' | 'pending') => counts.reduce((total, each) => total + each[count], 0);
  const [passes, failures, pending] = [sum('passes'), sum('failures'), sum('pending')];
  write(`${passes} passed, ${failures} failed${pending === 0 ? '' : `, ${pending} skipped`}\n`);
  return failures === 0 && passes > 0 ? 0 : 1;
}

try {
  process.exitCode = await run();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
