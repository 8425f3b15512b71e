import { HelpRequested, UsageError } from './options.ts';

/**
 * Runs a binary's main function and turns its end into an exit code: 0, 1 (failed) or 2 (wrong usage),
 * as kubectl and the Kubernetes components do.
 */
export async function runCommand(main: () => Promise<void>): Promise<void> {
  try {
    await main();
    process.exitCode = 0;
  } catch (error) {
    if (error instanceof HelpRequested) {
      process.stdout.write(error.message);
      process.exitCode = 0;
    } else if (error instanceof UsageError) {
      process.stderr.write(`${error.message}\n`);
      process.exitCode = 2;
    } else {
      process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
      process.exitCode = 1;
    }
  }
}
