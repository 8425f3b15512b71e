import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import type { FileHandle } from 'node:fs/promises';
import { errorCode } from '../http/errors.ts';
import { Capture, outputLimitBytes } from './capture.ts';
import type { Pipe } from './pipes.ts';

export interface CommandSpec {
  command: readonly [string, ...string[]];
  /** Reference to the working directory; needed until the command has started. */
  directory: FileHandle;
  environment: Readonly<Record<string, string>>;
}

/** What a process writes. */
interface Output {
  stdout: Capture;
  stderr: Capture;
}

/** A process that has been started, with its output. */
export interface Spawned extends Output {
  child: ChildProcess;
}

/** Why a command could not be started, as the person who wrote it may read it. */
export interface NotStarted {
  problem: string;
}

/** Starts a command without a shell, with empty stdin, in a session and process group of its own. */
export async function spawnCommand(spec: CommandSpec, pipes: [Pipe, Pipe] | undefined): Promise<Spawned | NotStarted> {
  const stdio: StdioOptions =
    pipes === undefined ? ['ignore', 'pipe', 'pipe'] : ['ignore', pipes[0].writingEnd, pipes[1].writingEnd];
  let output: Output | undefined;
  try {
    const child = startChild(spec, stdio);
    const spawned = new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    output = captureOutput(child, pipes);
    await spawned;
    if (output === undefined) throw new TypeError('the child has no output streams');
    return { child, ...output };
  } catch (error) {
    // Node throws or reports system errors of fork(2) and execve(2); anything else is a mistake of this code.
    const code = errorCode(error);
    if (code === undefined || !/^E[A-Z0-9]+$/.test(code)) throw error;
    for (const held of output === undefined ? (pipes ?? []) : [output.stdout, output.stderr]) held.discard();
    return { problem: explain(spec.command[0], code) };
  }
}

function startChild(spec: CommandSpec, stdio: StdioOptions): ChildProcess {
  const [program, ...args] = spec.command;
  return spawn(program, args, {
    // The child resolves this after it was forked, where /proc/self would be the child.
    cwd: `/proc/${process.pid}/fd/${spec.directory.fd}`,
    env: { ...spec.environment },
    stdio,
    detached: true,
  });
}

/** Undefined when Node could not even make the streams, of which it says more in the error that follows. */
function captureOutput(child: ChildProcess, pipes: [Pipe, Pipe] | undefined): Output | undefined {
  const [stdout, stderr] = pipes === undefined ? [child.stdout, child.stderr] : pipes.map((pipe) => pipe.read());
  if (!stdout || !stderr) return undefined;
  return { stdout: new Capture(stdout, outputLimitBytes), stderr: new Capture(stderr, outputLimitBytes) };
}

function explain(program: string, code: string): string {
  const name = JSON.stringify(program);
  switch (code) {
    case 'ENOENT':
      return `exec: ${name}: executable file not found in $PATH`;
    case 'EACCES':
      return `exec: ${name}: permission denied; make it executable or call its interpreter`;
    case 'E2BIG':
      return `exec: ${name}: the arguments and environment are too long; pass them in a file`;
    default:
      return `exec: ${name}: the system refused to start it (${code})`;
  }
}
