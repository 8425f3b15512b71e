import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { ApiError } from '../../../../apis/machinery/errors.ts';
import type { Log } from '../../../../apis/runtime/log.ts';
import type { LogFile } from '../logs/log-file.ts';
import type { ProcessPlan } from './process-plan.ts';
import { type ProcessOwner, type ProcessSearch, sendSignal } from './process-search.ts';

/** How long what a dead process wrote last may take to be read. */
const drainLimitMs = 1_000;

type Child = ChildProcessByStdio<null, Readable, Readable>;

export interface ProcessContext {
  owner: Required<ProcessOwner>;
  /** Takes the output; closed when the process has ended. */
  output: LogFile;
  search: ProcessSearch;
  log: Log;
}

export interface ProcessExit {
  /** As a shell reports it: 128 and the signal's number for a process that a signal ended. */
  exitCode: number;
  signal?: number;
}

/** The process of one attempt of a container, with all that it starts: a session and a process group of their own. */
export class ContainerProcess {
  readonly pid: number;
  /** Resolves once the process and all that it started are gone and its log is complete; never rejects. */
  readonly exited: Promise<ProcessExit>;

  private constructor(child: Child & { pid: number }, end: () => Promise<ProcessExit>) {
    this.pid = child.pid;
    this.exited = end();
  }

  /** @throws ApiError Invalid when it cannot be started; the message says why as a container runtime would. */
  static async start(plan: ProcessPlan, context: ProcessContext): Promise<ContainerProcess> {
    const child = spawnDetached(plan);
    try {
      await once(child, 'spawn');
    } catch (error) {
      throw startFailure(plan.file, error);
    }
    const { pid } = child;
    if (pid === undefined) throw startFailure(plan.file, new Error('it has no process id'));
    context.output.attach(child.stdout, 'stdout');
    context.output.attach(child.stderr, 'stderr');
    return new ContainerProcess(Object.assign(child, { pid }), () => end(child, pid, context));
  }

  /** Signals the whole process group. */
  signal(signal: NodeJS.Signals): void {
    sendSignal(-this.pid, signal);
  }
}

function spawnDetached(plan: ProcessPlan): Child {
  try {
    const { file, args, cwd, env } = plan;
    return spawn(file, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    // spawn refuses some arguments outright, such as a NUL byte in a variable.
    throw startFailure(plan.file, error);
  }
}

/** What a command that cannot be started ends in, in runc's words, which users know. */
export function startFailure(file: string, error: unknown): ApiError {
  const { code, message } = error as NodeJS.ErrnoException;
  const reasons: Record<string, string> = {
    ENOENT: file.includes('/') ? `stat ${file}: no such file or directory` : 'executable file not found in $PATH',
    EACCES: 'permission denied',
  };
  return new ApiError(
    'Invalid',
    `failed to start container process: exec: "${file}": ${reasons[code ?? ''] ?? message}`,
    {
      cause: error,
    },
  );
}

async function end(child: Child, pid: number, context: ProcessContext): Promise<ProcessExit> {
  const closed = once(child, 'close');
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  try {
    // A container ends with its first process: what that left behind goes too.
    sendSignal(-pid, 'SIGKILL');
    await context.search.killAll([context.owner], [pid]);
    await Promise.race([closed, delay(drainLimitMs, undefined, { ref: false })]);
    await context.output.close();
  } catch (error) {
    // However badly this goes, that the process has ended must be told.
    context.log.error('cleaning up after a container failed', { ...context.owner, error });
  }
  if (signal === null) return { exitCode: code ?? 0 };
  return { exitCode: 128 + constants.signals[signal], signal: constants.signals[signal] };
}
