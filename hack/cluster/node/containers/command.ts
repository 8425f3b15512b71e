import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { ProcessPlan } from './process-plan.ts';
import { sendSignal } from './process-search.ts';

const longestOutput = 10 * 1024;

/** How a command ended: its exit code and the beginning of its output, or that it was killed for the signal. */
export type CommandEnd = { exitCode: number | null; output: string } | 'broken off';

/**
 * Runs a command in a running container, as its own processes run, in a session of its own.
 * @throws Error when it cannot be started.
 */
export async function runCommand(
  command: readonly string[],
  plan: ProcessPlan,
  signal: AbortSignal,
): Promise<CommandEnd> {
  const [file, ...args] = command.map((word) => plan.paths.translate(word));
  if (file === undefined) throw new Error('there is no command');
  const child = spawn(file, args, { cwd: plan.cwd, env: plan.env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const collect = (chunk: Buffer) => {
    if (output.length < longestOutput) output += chunk.toString('utf8');
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const kill = () => {
    if (child.pid !== undefined) sendSignal(-child.pid, 'SIGKILL');
  };
  signal.addEventListener('abort', kill, { once: true });
  if (signal.aborted) kill();
  try {
    const [exitCode] = (await once(child, 'close')) as [number | null];
    return signal.aborted ? 'broken off' : { exitCode, output: output.slice(0, longestOutput) };
  } finally {
    signal.removeEventListener('abort', kill);
  }
}
