import type { Log } from '../../../../apis/runtime/log.ts';
import type { PodEvent } from '../api/events.ts';
import type { Container } from '../api/pod.ts';
import { quantityOf } from '../api/quantity.ts';
import { LogFile } from '../logs/log-file.ts';
import type { MemoryLimit, MemoryLimits } from '../memory/memory-limits.ts';
import { ContainerProcess, type ProcessExit } from './container-process.ts';
import { runHook } from './hooks.ts';
import { joining } from './join-command.ts';
import type { ProcessPlan } from './process-plan.ts';
import type { ProcessOwner, ProcessSearch } from './process-search.ts';
import { terminationMessage } from './termination-message.ts';

/** What a process has at least between SIGTERM and SIGKILL after its preStop hook (kubelet's minimumGracePeriodInSeconds). */
const leastGraceMs = 2_000;

export interface AttemptOptions {
  plan: ProcessPlan;
  container: Container;
  podIP: string;
  owner: Required<ProcessOwner>;
  /** File of its log. */
  logPath: string;
  limits: MemoryLimits;
  search: ProcessSearch;
  /** The Pod's grace, for what ends the attempt by itself. */
  graceMs: () => number;
  event: (type: PodEvent['type'], reason: string, message: string) => void;
  log: Log;
}

/** How an attempt ended, as its container's state has it. */
export interface AttemptEnd extends ProcessExit {
  reason: string;
  message?: string;
}

/** One run of a container's process: its log, memory limit and hooks, from its start to its end. */
export class Attempt {
  /** Resolves once all of it is gone; never rejects. */
  readonly exited: Promise<AttemptEnd>;
  readonly output: LogFile;
  readonly #options: AttemptOptions;
  readonly #process: ContainerProcess;
  readonly #gone = new AbortController();
  /** While the preStop hook runs: ends it. */
  #hook: AbortController | undefined;
  #stopping = false;
  /** The end of the grace: of the hook's time while that runs, and then of the process. */
  #deadline: { at: number; timer: NodeJS.Timeout } | undefined;

  private constructor(
    options: AttemptOptions,
    parts: { output: LogFile; process: ContainerProcess; limit?: MemoryLimit },
  ) {
    this.#options = options;
    this.#process = parts.process;
    this.output = parts.output;
    this.exited = this.#end(parts.limit);
  }

  /** @throws ApiError Invalid when the process cannot be started. */
  static async start(options: AttemptOptions): Promise<Attempt> {
    const { plan, owner, search, log } = options;
    const output = await LogFile.open(options.logPath, log);
    let limit: MemoryLimit | undefined;
    try {
      limit = await limitOf(options);
      const command = limit?.joinFile === undefined ? plan : await joining(plan, limit.joinFile);
      const process = await ContainerProcess.start(command, { owner, output, search, log });
      limit?.started(process.pid);
      return new Attempt(options, { output, process, ...(limit === undefined ? {} : { limit }) });
    } catch (error) {
      await output.close();
      await limit?.release();
      throw error;
    }
  }

  /** Runs the postStart hook; the attempt is ended when it fails. */
  async afterStart(): Promise<void> {
    const { container, event, graceMs } = this.#options;
    const hook = container.lifecycle?.postStart;
    if (hook === undefined) return;
    const problem = await runHook(hook, this.#options, this.#gone.signal);
    if (problem === undefined || this.#gone.signal.aborted) return;
    event('Warning', 'FailedPostStartHook', `PostStartHook failed: ${problem}`);
    this.stop(graceMs(), 'FailedPostStartHook');
  }

  /**
   * Ends it: the preStop hook, SIGTERM, and SIGKILL after the grace. A later call with less grace shortens it.
   * @param why message of the Event
   */
  stop(graceMs: number, why: string): void {
    const first = !this.#stopping;
    this.#stopping = true;
    if (first) this.#options.event('Normal', 'Killing', why);
    this.#endBy(graceMs);
    if (first && graceMs > 0) void this.#terminate(graceMs);
  }

  async #terminate(graceMs: number): Promise<void> {
    const { container, event } = this.#options;
    const hook = container.lifecycle?.preStop;
    if (hook !== undefined) {
      const began = Date.now();
      this.#hook = new AbortController();
      const signal = AbortSignal.any([this.#hook.signal, this.#gone.signal]);
      const problem = await runHook(hook, this.#options, signal);
      this.#hook = undefined;
      if (this.#gone.signal.aborted) return;
      if (problem !== undefined) event('Warning', 'FailedPreStopHook', `PreStopHook failed: ${problem}`);
      clearTimeout(this.#deadline?.timer);
      const promised = (this.#deadline?.at ?? began + graceMs) - Date.now();
      this.#deadline = undefined;
      this.#endBy(Math.max(promised, leastGraceMs));
    }
    this.#process.signal('SIGTERM');
  }

  #endBy(graceMs: number): void {
    if (graceMs === 0) {
      this.#process.signal('SIGKILL');
      return;
    }
    const at = Date.now() + graceMs;
    if (this.#deadline !== undefined && this.#deadline.at <= at) return;
    clearTimeout(this.#deadline?.timer);
    const end = () => {
      if (this.#hook === undefined) this.#process.signal('SIGKILL');
      else this.#hook.abort();
    };
    this.#deadline = { at, timer: setTimeout(end, graceMs) };
  }

  async #end(limit: MemoryLimit | undefined): Promise<AttemptEnd> {
    const exit = await this.#process.exited;
    this.#gone.abort();
    clearTimeout(this.#deadline?.timer);
    const { container, plan, logPath, owner, log } = this.#options;
    const reason = exit.exitCode === 0 ? 'Completed' : 'Error';
    try {
      const outOfMemory = (await limit?.exceeded()) ?? false;
      await limit?.release();
      const { terminationLog } = plan;
      const message = await terminationMessage({ container, exitCode: exit.exitCode, terminationLog, logPath });
      return { ...exit, reason: outOfMemory ? 'OOMKilled' : reason, ...(message === undefined ? {} : { message }) };
    } catch (error) {
      // That it has ended must be told, whatever is not known of its end.
      log.error('the end of a container could not be looked into', { ...owner, error });
      return { ...exit, reason };
    }
  }
}

async function limitOf({ container, limits, owner }: AttemptOptions): Promise<MemoryLimit | undefined> {
  const memory = container.resources?.limits?.memory;
  if (memory === undefined) return undefined;
  return await limits.prepare(`${owner.uid}-${owner.container}`, Math.ceil(quantityOf(memory)));
}
