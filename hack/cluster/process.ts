import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { signalGroup } from '../kube/process-identity.ts';
import { SetupError } from '../kube/setup-error.ts';
import { readIfPresent } from './files.ts';

/** A program to run under supervision. */
export interface ProcessSpec {
  /** Names it in messages and its log, `logs/NAME.log`. */
  name: string;
  file: string;
  args: string[];
  /** The whole environment; default: ours. */
  env?: NodeJS.ProcessEnv;
  cwd?: string;
}

/** The end of a process that nobody had asked to stop. */
export interface ProcessExit {
  name: string;
  pid: number;
  /** Null when a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  logPath: string;
  /** Its last 20 lines. */
  logTail: string;
}

/** A child process in a process group of its own, with its output in a log file. */
export class SupervisedProcess {
  readonly name: string;
  /** What it was started from; a supervisor can start it again. */
  readonly spec: ProcessSpec;
  readonly pid: number;
  readonly logPath: string;
  /** Resolves when it has ended, asked to or not. */
  readonly exited: Promise<void>;
  readonly #child: ChildProcess;
  readonly #logStart: number;
  #stopping = false;

  private constructor(spec: ProcessSpec, child: ChildProcess & { pid: number }, log: { path: string; start: number }) {
    this.name = spec.name;
    this.spec = spec;
    this.pid = child.pid;
    this.logPath = log.path;
    this.#logStart = log.start;
    this.#child = child;
    this.exited = once(child, 'exit').then(() => undefined);
  }

  /**
   * Starts the program; `onExit` is called if it ends before `stop`. Rejects with a SetupError when it cannot be run.
   * The log is handed to the child as a file, so that it can go on writing whatever becomes of us.
   */
  static async start(
    spec: ProcessSpec,
    options: { logDir: string; onExit: (exit: ProcessExit) => void },
  ): Promise<SupervisedProcess> {
    await mkdir(options.logDir, { recursive: true, mode: 0o700 });
    const path = join(options.logDir, `${spec.name}.log`);
    const log = await open(path, 'a', 0o600);
    try {
      const { size } = await log.stat();
      const child = spawn(spec.file, spec.args, {
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
        env: spec.env ?? process.env,
        ...(spec.cwd === undefined ? {} : { cwd: spec.cwd }),
      });
      await once(child, 'spawn');
      const started = new SupervisedProcess(spec, child as ChildProcess & { pid: number }, { path, start: size });
      void started.#reportExit(options.onExit);
      return started;
    } catch (error) {
      throw new SetupError(`${spec.name} could not be started: ${(error as Error).message}.`, { cause: error });
    } finally {
      await log.close();
    }
  }

  /**
   * Waits until `condition` answers true, asking every 25 ms. Rejects with a SetupError that ends with the log's last
   * lines when the process exits first or `deadlineMs` passes, and with the signal's reason when that aborts.
   */
  async ready(condition: () => Promise<boolean>, options: { deadlineMs: number; signal?: AbortSignal }): Promise<void> {
    const deadline = performance.now() + options.deadlineMs;
    while (!(await condition())) {
      options.signal?.throwIfAborted();
      if (this.#hasExited()) throw await this.#failure(`ended before it was ready (${this.#ending()})`);
      if (performance.now() > deadline) {
        throw await this.#failure(`was not ready after ${Math.round(options.deadlineMs / 1000)} s`);
      }
      await delay(25);
    }
  }

  /**
   * Ends the whole process group: SIGTERM, and SIGKILL for what is left when the process has gone or `graceMs` (default
   * 10,000) has passed. Resolves when the process has ended; never calls `onExit`.
   */
  async stop(options: { graceMs?: number } = {}): Promise<void> {
    this.#stopping = true;
    if (!this.#hasExited()) {
      signalGroup(this.pid, 'SIGTERM');
      const waiting = new AbortController();
      await Promise.race([this.exited, delay(options.graceMs ?? 10_000, undefined, { signal: waiting.signal })]);
      waiting.abort();
    }
    signalGroup(this.pid, 'SIGKILL');
    await this.exited;
  }

  /** Ends the whole process group with SIGKILL. Resolves when the process has ended; never calls `onExit`. */
  async kill(): Promise<void> {
    this.#stopping = true;
    signalGroup(this.pid, 'SIGKILL');
    await this.exited;
  }

  #hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  #ending(): string {
    const { exitCode, signalCode } = this.#child;
    return signalCode === null ? `exit code ${exitCode}` : signalCode;
  }

  async #reportExit(onExit: (exit: ProcessExit) => void): Promise<void> {
    await this.exited;
    if (this.#stopping) return;
    onExit({
      name: this.name,
      pid: this.pid,
      code: this.#child.exitCode,
      signal: this.#child.signalCode,
      logPath: this.logPath,
      logTail: await this.#logTail(),
    });
  }

  async #failure(what: string): Promise<SetupError> {
    const tail = await this.#logTail();
    const log = tail === '' ? 'It wrote nothing' : `The end of its log:\n${tail}\nAll of it`;
    return new SetupError(`${this.name} ${what}. ${log}: ${this.logPath}`);
  }

  /** The last 20 lines that this run wrote (the file may hold earlier runs too). */
  async #logTail(): Promise<string> {
    const log = await readIfPresent(this.logPath);
    const own = Buffer.from(log ?? '')
      .subarray(this.#logStart)
      .toString('utf8');
    return own.trimEnd().split('\n').slice(-20).join('\n');
  }
}
