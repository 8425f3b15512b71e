import type { Context } from 'mocha';

/** Skips a test, or the suite of a hook, and says why where nobody overlooks it: a count alone tells nobody what was not tested. */
export function skip(context: Context, why: string): never {
  const what = context.test?.fullTitle() ?? context.currentTest?.fullTitle() ?? 'a test';
  process.stderr.write(`SKIPPED: ${what}: ${why}\n`);
  return context.skip();
}
