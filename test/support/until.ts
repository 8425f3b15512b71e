import { setTimeout as delay } from 'node:timers/promises';

/**
 * Waits until `probe` gives something else than undefined, null or false, and returns that. Fails after `deadlineMs`
 * (default 30 s), with what `seen` tells of the state then.
 */
export async function until<T>(
  what: string,
  probe: () => T | undefined | null | false | Promise<T | undefined | null | false>,
  options: { deadlineMs?: number; seen?: () => unknown } = {},
): Promise<T> {
  const deadline = performance.now() + (options.deadlineMs ?? 30_000);
  for (;;) {
    const answer = await probe();
    if (answer !== undefined && answer !== null && answer !== false) return answer;
    if (performance.now() > deadline) {
      const seen = options.seen === undefined ? '' : `; seen: ${JSON.stringify(options.seen())}`;
      throw new Error(`waited in vain for ${what}${seen}`);
    }
    await delay(20);
  }
}
