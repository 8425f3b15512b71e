import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { identify, isRunning, type ProcessIdentity, signalGroup } from '../kube/process-identity.ts';
import { DeathWatch } from './death-watch.ts';
import { readIfPresent, writeFileAtomically } from './files.ts';
import { type ProcessExit, type ProcessSpec, SupervisedProcess } from './process.ts';

interface Recorded extends ProcessIdentity {
  name: string;
}

/**
 * Starts processes and sees that they do not outlive us: should we be killed, a death watch ends them, and because that
 * could be killed as well, it is written down which ones run (`pids.json`) and the next start in the same folder ends
 * what is left of them.
 */
export class Supervisor {
  readonly #file: string;
  readonly #logDir: string;
  readonly #onExit: (exit: ProcessExit) => void;
  readonly #running = new Map<SupervisedProcess, Recorded>();
  /** Names in the order in which each was started first: what is started again stands where it stood before. */
  readonly #places = new Set<string>();
  readonly #forgetting = new Set<Promise<void>>();
  readonly #deathWatch = new DeathWatch();
  #writing: Promise<void> = Promise.resolve();

  constructor(dir: string, onExit: (exit: ProcessExit) => void) {
    this.#file = join(dir, 'pids.json');
    this.#logDir = join(dir, 'logs');
    this.#onExit = onExit;
  }

  /** What was started and has not ended, in the order of starting. */
  get processes(): SupervisedProcess[] {
    return [...this.#running.keys()];
  }

  /** Ends every process of an earlier run that still lives and answers their names. Waits until they are gone. */
  async endLeftovers(): Promise<string[]> {
    const recorded = JSON.parse((await readIfPresent(this.#file)) ?? '[]') as Recorded[];
    const ended: string[] = [];
    for (const leftover of recorded) {
      // A pid may since belong to a stranger; its start time tells.
      if (!(await isRunning(leftover))) continue;
      signalGroup(leftover.pid, 'SIGKILL');
      while (await isRunning(leftover)) await delay(10);
      ended.push(leftover.name);
    }
    await this.#record();
    return ended;
  }

  /** Starts and records a process. Rejects with a SetupError when it cannot be run. */
  async start(spec: ProcessSpec): Promise<SupervisedProcess> {
    const started = await SupervisedProcess.start(spec, { logDir: this.#logDir, onExit: this.#onExit });
    await this.#deathWatch.add(started.pid);
    const identity = await identify(started.pid);
    this.#places.add(spec.name);
    if (identity !== undefined) this.#running.set(started, { name: spec.name, ...identity });
    const forgetting = this.#forget(started).finally(() => this.#forgetting.delete(forgetting));
    this.#forgetting.add(forgetting);
    await this.#record();
    return started;
  }

  /** Stops what still runs, the last started first, servers after their clients, and leaves the record as it then is. */
  async stop(): Promise<void> {
    const places = [...this.#places];
    const placeOf = ({ name }: SupervisedProcess) => places.indexOf(name);
    const last = this.processes.reverse().toSorted((a, b) => placeOf(b) - placeOf(a));
    for (const running of last) await running.stop();
    await Promise.all(this.#forgetting);
    this.#deathWatch.close();
  }

  async #forget(ended: SupervisedProcess): Promise<void> {
    await ended.exited;
    this.#deathWatch.remove(ended.pid);
    this.#running.delete(ended);
    await this.#record();
  }

  /** One write after the other: the last one that is asked for is the last one on disk. */
  #record(): Promise<void> {
    this.#writing = this.#writing.then(() =>
      writeFileAtomically(this.#file, `${JSON.stringify([...this.#running.values()], null, 2)}\n`),
    );
    return this.#writing;
  }
}
