import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { ApiError } from '../../apis/machinery/errors.ts';
import type { Log } from '../../apis/runtime/log.ts';
import type { Capture } from './capture.ts';
import { PipeStock } from './pipes.ts';
import { ProcessTable } from './process-table.ts';
import { killTree, markerName } from './process-tree.ts';
import { type CommandSpec, type NotStarted, type Spawned, spawnCommand } from './spawn.ts';

/** How a command ended: an exit code, or the signal that killed it. */
export interface CommandEnd {
  exitCode: number | undefined;
  signal: NodeJS.Signals | undefined;
}

/** A running command. */
export interface Command {
  stdout: Capture;
  stderr: Capture;
  /** Resolves when the command's own process has ended; others of its tree may live on and hold the output open. */
  ended: Promise<CommandEnd>;
  /** Kills the whole tree. */
  kill: () => Promise<void>;
  /** Lets what the command left behind run on without keeping this process alive. */
  release: () => void;
}

/** Starts commands, and ends what is left of them when the daemon ends. */
export class Commands {
  readonly #log: Log;
  /** First part of the marker of every command of this daemon, so that all are found with one search. */
  readonly #family = randomUUID();
  readonly #running = new Set<Command>();
  readonly #pipes: PipeStock;
  readonly #processes = new ProcessTable();
  #stopping = false;

  constructor(log: Log) {
    this.#log = log;
    this.#pipes = new PipeStock(log);
  }

  /** Does ahead of time what the first command would have to wait for. */
  async prepare(): Promise<void> {
    await this.#pipes.refill();
  }

  /**
   * Starts a command; see {@link spawnCommand}.
   * @throws ApiError ServiceUnavailable while the daemon stops.
   */
  async start(spec: CommandSpec): Promise<Command | NotStarted> {
    const pipes = await this.#pipes.takeTwo();
    if (this.#stopping) {
      for (const pipe of pipes ?? []) pipe.discard();
      throw new ApiError('ServiceUnavailable', 'the sandbox is stopping; no command can be started');
    }
    const marker = `${this.#family}.${randomUUID()}`;
    const environment = { ...spec.environment, [markerName]: marker };
    const spawned = await spawnCommand({ ...spec, environment }, pipes);
    return 'problem' in spawned ? spawned : this.#track(spawned, marker);
  }

  /** Kills every command and whatever earlier ones have left behind. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#pipes.close();
    await Promise.all([...this.#running].map((command) => command.kill()));
    await killTree({ marker: `${this.#family}.`, leader: () => undefined }, this.#processes, this.#log);
  }

  #track({ child, stdout, stderr }: Spawned, marker: string): Command {
    const command: Command = {
      stdout,
      stderr,
      ended: new Promise((resolve) => {
        child.once('exit', (code, signal) => {
          this.#running.delete(command);
          resolve({ exitCode: code ?? undefined, signal: signal ?? undefined });
        });
      }),
      kill: () =>
        killTree({ marker, leader: () => (isRunning(child) ? child.pid : undefined) }, this.#processes, this.#log),
      release: () => {
        for (const capture of [stdout, stderr]) capture.release();
      },
    };
    this.#running.add(command);
    return command;
  }
}

/** Node reaps a child and sets one of these in the same step; until then the kernel keeps its number. */
function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}
