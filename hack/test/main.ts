import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import Mocha from 'mocha';
import { ensureBinaries } from '../kube/binaries.ts';
import { streamReporter } from '../kube/progress.ts';
import { SetupError } from '../kube/setup-error.ts';

/**
 * `npm test [-- PATTERN...]`: makes sure that the Kubernetes binaries are there, then runs every test whose path holds
 * one of the patterns. The last line counts: `N passed, N failed[, N skipped]`.
 */

const root = fileURLToPath(new URL('../..', import.meta.url));

async function findTests(patterns: readonly string[]): Promise<string[]> {
  const entries = await readdir(join(root, 'test'), { recursive: true });
  const files = entries.filter((entry) => entry.endsWith('.test.ts')).map((entry) => join(root, 'test', entry));
  const chosen = files.filter(
    (file) => patterns.length === 0 || patterns.some((pattern) => relative(root, file).includes(pattern)),
  );
  // The node's suites run nodes of their own on the shared control plane, so they come before the suites whose shared
  // cluster has one that stays.
  const hasOwnNode = (file: string) => relative(root, file).startsWith('test/hack/node/');
  return [...chosen.filter(hasOwnNode).sort(), ...chosen.filter((file) => !hasOwnNode(file)).sort()];
}

async function run(): Promise<number> {
  const files = await findTests(process.argv.slice(2));
  if (files.length === 0) {
    process.stderr.write('no test file matches; patterns are parts of paths, such as daemon or apiserver/watch\n');
    return 2;
  }
  await ensureBinaries(streamReporter(process.stdout));
  const mocha = new Mocha({ timeout: 60_000, slow: 5_000, forbidOnly: process.env.CI !== undefined });
  for (const file of files) mocha.addFile(file);
  await mocha.loadFilesAsync();
  const stats = await new Promise<Mocha.Stats | undefined>((resolve) => {
    const runner = mocha.run(() => resolve(runner.stats));
  });
  const { passes = 0, failures = 1, pending = 0 } = stats ?? {};
  process.stdout.write(`${passes} passed, ${failures} failed${pending === 0 ? '' : `, ${pending} skipped`}\n`);
  return failures === 0 && passes > 0 ? 0 : 1;
}

try {
  // Tests that leave something running must not keep the run from ending, nor change its outcome.
  process.exit(await run());
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
