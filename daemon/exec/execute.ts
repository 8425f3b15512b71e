import { readlink } from 'node:fs/promises';
import type Router from '@koa/router';
import { ApiError } from '../../apis/machinery/errors.ts';
import { readJson } from '../http/body.ts';
import { clientGone } from '../http/requests.ts';
import { pathOf } from '../workspace/descriptor.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { type Capture, outputLimitBytes } from './capture.ts';
import type { Command, CommandEnd, Commands } from './commands.ts';
import { OutputBudget } from './output-budget.ts';
import { type ExecuteRequest, parseExecuteRequest } from './request.ts';
import type { NotStarted } from './spawn.ts';

/** How long output is waited for once the command has ended: something it left behind may hold the pipes for ever. */
const outputGraceMs = 200;
/** How long the end of a killed command is waited for: one that is stuck in the kernel, or not ours, may never end. */
const killGraceMs = 2000;
/** Exit codes of PicoD: timed out (as timeout(1)), killed by a signal (as Go), not started. */
const exitCodes = { timedOut: 124, signalled: -1, notStarted: 1 };

/** Answer of `POST /api/execute`, in PicoD's words; the last two only when output was cut. */
export interface ExecuteResult {
  stdout: string;
  stderr: string;
  exit_code: number;
  /** Seconds. */
  duration: number;
  /** RFC 3339. */
  start_time: string;
  end_time: string;
  stdout_truncated?: true;
  stderr_truncated?: true;
}

export interface ExecuteDependencies {
  commands: Commands;
  workspace: Workspace;
  /** What every command inherits. */
  environment: () => Readonly<Record<string, string>>;
}

/** `POST /api/execute`: runs one command to its end and answers with its output. */
export function executeRoute(router: Router, dependencies: ExecuteDependencies): void {
  const budget = new OutputBudget();
  router.post('/api/execute', async (ctx) => {
    const request = parseExecuteRequest(await readJson(ctx));
    const release = budget.reserve();
    try {
      const started = new Date();
      const command = await startIn(request, dependencies);
      const outcome = 'problem' in command ? notStarted(command) : await runToEnd(command, request, clientGone(ctx));
      ctx.body = timed(outcome, started);
    } finally {
      // The answer holds the output until its last byte has gone.
      if (ctx.res.destroyed) release();
      else ctx.res.once('close', release);
    }
  });
}

type Outcome = Omit<ExecuteResult, 'duration' | 'start_time' | 'end_time'>;

function timed(outcome: Outcome, started: Date): ExecuteResult {
  const ended = new Date();
  return {
    ...outcome,
    duration: (ended.getTime() - started.getTime()) / 1000,
    start_time: started.toISOString(),
    end_time: ended.toISOString(),
  };
}

async function startIn(request: ExecuteRequest, dependencies: ExecuteDependencies): Promise<Command | NotStarted> {
  const { commands, workspace, environment } = dependencies;
  await using directory = await openWorkingDirectory(workspace, request.workingDirectory);
  return await commands.start({
    command: request.command,
    directory,
    environment: { ...environment(), PWD: await readlink(pathOf(directory)), ...Object.fromEntries(request.env) },
  });
}

async function openWorkingDirectory(workspace: Workspace, path: string): ReturnType<Workspace['openDirectory']> {
  try {
    return await workspace.openDirectory(path, { create: true });
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 400) throw error;
    throw new ApiError(error.reason, `Invalid working directory: ${error.message}`, { cause: error });
  }
}

function notStarted(failure: NotStarted): Outcome {
  return { stdout: '', stderr: failure.problem, exit_code: exitCodes.notStarted };
}

/** Waits for a command; timeout and the client's leaving kill its whole tree. */
async function runToEnd(command: Command, request: ExecuteRequest, gone: AbortSignal): Promise<Outcome> {
  const { stdout, stderr } = command;
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), request.timeoutMs);
  const end = await endOrKill(command, AbortSignal.any([deadline.signal, gone]));
  clearTimeout(timer);
  await outputSettled(stdout, stderr);
  command.release();
  const timedOut = typeof end === 'string' && deadline.signal.aborted;
  const notes = [
    ...(stdout.truncated ? [`stdout was cut after ${outputLimitBytes} bytes; write to a file instead`] : []),
    ...(stderr.truncated ? [`stderr was cut after ${outputLimitBytes} bytes; write to a file instead`] : []),
    ...(timedOut ? [`Command timed out after ${request.timeoutMs / 1000} seconds`] : []),
    ...(end === 'survived' ? ['A process of the command could not be killed and still runs'] : []),
  ];
  return {
    stdout: stdout.take(),
    stderr: withNotes(stderr.take(), notes),
    exit_code: timedOut ? exitCodes.timedOut : exitCodeOf(end),
    ...(stdout.truncated ? { stdout_truncated: true } : {}),
    ...(stderr.truncated ? { stderr_truncated: true } : {}),
  };
}

/** How a command that was stopped ended, or did not. */
type Stopped = 'killed' | 'survived';

async function endOrKill(command: Command, stop: AbortSignal): Promise<CommandEnd | Stopped> {
  const { promise: stopped, resolve } = Promise.withResolvers<'killed'>();
  const onStop = () => resolve('killed');
  stop.addEventListener('abort', onStop, { once: true });
  if (stop.aborted) onStop();
  const first = await Promise.race([command.ended, stopped]);
  stop.removeEventListener('abort', onStop);
  if (first !== 'killed') return first;
  await command.kill();
  return (await happensWithin(command.ended, killGraceMs)) ? 'killed' : 'survived';
}

async function happensWithin(event: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const { promise: patienceEnded, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(() => resolve(false), timeoutMs);
  const happened = await Promise.race([patienceEnded, event.then(() => true)]);
  clearTimeout(timer);
  return happened;
}

async function outputSettled(...captures: Capture[]): Promise<void> {
  await happensWithin(Promise.all(captures.map((capture) => capture.closed)), outputGraceMs);
  // One more turn of the event loop reads what lay in the pipes, however late the timer was.
  await new Promise((resolve) => setImmediate(resolve));
}

function exitCodeOf(end: CommandEnd | Stopped): number {
  return typeof end === 'string' ? exitCodes.signalled : (end.exitCode ?? exitCodes.signalled);
}

function withNotes(stderr: string, notes: readonly string[]): string {
  if (notes.length === 0) return stderr;
  return `${stderr}${stderr === '' || stderr.endsWith('\n') ? '' : '\n'}${notes.join('\n')}`;
}
