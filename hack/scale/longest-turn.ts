import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { writeFileSync } from 'node:fs';

/**
 * For `node --import .../longest-turn.ts?report=FILE`: while lists come page by page, and after that, finds the longest that
 * one turn of the event loop worked, in milliseconds of its thread's CPU time, so that it does not matter who else needs the
 * cores; writes it to the file when the process ends. What is loaded and compiled before the first second page is not of it.
 */
const report = new URL(import.meta.url).searchParams.get('report') ?? '';
const answered = 'undici:request:headers';
let longestMs = 0;

function begin(message: unknown): void {
  if (!(message as { request: { path: string } }).request.path.includes('continue=')) return;
  unsubscribe(answered, begin);
  next();
}

function turn(before: NodeJS.CpuUsage): void {
  const { user, system } = process.threadCpuUsage(before);
  longestMs = Math.max(longestMs, (user + system) / 1000);
  next();
}

/** At the end of this turn, however long the loop rests before there is another one. */
function next(): void {
  setImmediate(turn, process.threadCpuUsage()).unref();
}

subscribe(answered, begin);
process.on('exit', () => writeFileSync(report, String(longestMs)));
