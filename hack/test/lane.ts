import { resolve } from 'node:path';
import Mocha from 'mocha';

/**
 * Runs the test files that it is given, one after the other, and tells its parent the counts. Started by main.ts; the cluster
 * that suites share (test/support) is one of each such process.
 */
async function run(files: readonly string[]): Promise<void> {
  const mocha = new Mocha({ timeout: 60_000, slow: 5_000, forbidOnly: process.env.CI !== undefined });
  for (const file of files) mocha.addFile(resolve(file));
  await mocha.loadFilesAsync();
  const stats = await new Promise<Mocha.Stats | undefined>((ended) => {
    const runner = mocha.run(() => ended(runner.stats));
  });
  const { passes = 0, failures = 1, pending = 0 } = stats ?? {};
  await new Promise((sent) => process.send?.({ passes, failures, pending }, sent));
}

// Who was started by a parent that is gone works for nobody.
process.on('disconnect', () => process.exit(1));
await run(process.argv.slice(2));
// Tests that leave something running must not keep the run from ending.
process.exit(0);
