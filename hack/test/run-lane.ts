import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { compileCacheFlag } from '../cluster/programs.ts';
import type { Lane } from './lanes.ts';

/** How the tests of a lane ended. */
export interface Counts {
  passes: number;
  failures: number;
  pending: number;
}

const main = fileURLToPath(new URL('./lane.ts', import.meta.url));

export interface RunLaneOptions {
  /** Where the paths of the files begin. */
  cwd: string;
  /** Takes whole paragraphs of what the lane says. */
  write: (text: string) => void;
}

/** Runs a lane in a process of its own. One that ends without a word has failed, once. */
export async function runLane({ name, files }: Lane, { cwd, write }: RunLaneOptions): Promise<Counts> {
  // Behind a pipe nobody could tell whether somebody looks at it.
  const env = { FORCE_COLOR: process.stdout.isTTY ? '1' : '0', ...process.env };
  const child = fork(main, files, { cwd, env, execArgv: [compileCacheFlag], stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  let counts: Counts | undefined;
  child.on('message', (message) => {
    counts = message as Counts;
  });
  const exited = once(child, 'exit') as Promise<[code: number | null, signal: NodeJS.Signals | null]>;
  const said = [child.stdout, child.stderr].map((output) => (output === null ? undefined : paragraphs(output, write)));
  const [[code, signal]] = await Promise.all([exited, ...said]);
  if (counts !== undefined && code === 0) return counts;
  write(`the tests of lane "${name}" ended early, with ${signal ?? `exit code ${code}`}\n`);
  return { passes: 0, pending: 0, ...counts, failures: (counts?.failures ?? 0) + 1 };
}

/** Passes on what several lanes say at once in paragraphs, so that a suite stays in one piece. */
async function paragraphs(output: Readable, write: (text: string) => void): Promise<void> {
  let paragraph = '';
  for await (const line of createInterface({ input: output })) {
    paragraph += `${line}\n`;
    if (line !== '') continue;
    write(paragraph);
    paragraph = '';
  }
  write(paragraph);
}
