import type { Log } from './log.ts';

/** Something that was started and must be stopped. */
export interface Stoppable {
  name: string;
  stop: () => Promise<void> | void;
}

/** Stops what was started, last started first; a failing stop is logged and does not keep the others from stopping. */
export class Lifecycle {
  readonly #log: Log;
  readonly #started: Stoppable[] = [];

  constructor(log: Log) {
    this.#log = log;
  }

  /** Registers something that runs now. */
  started(part: Stoppable): void {
    this.#started.push(part);
  }

  async stop(): Promise<void> {
    for (const part of this.#started.splice(0).reverse()) {
      try {
        await part.stop();
      } catch (error) {
        this.#log.error('stopping failed', { part: part.name, error });
      }
    }
  }
}

/** Starts something of several parts: all of them, or none is left running. */
export async function startWhole<T>(log: Log, start: (lifecycle: Lifecycle) => Promise<T>): Promise<T> {
  const lifecycle = new Lifecycle(log);
  try {
    return await start(lifecycle);
  } catch (error) {
    // What runs already, watches above all, would keep a process alive that serves nothing.
    await lifecycle.stop();
    throw error;
  }
}

/** Resolves with the first SIGINT or SIGTERM; a second one ends the process at once, as operators expect. */
export function terminationSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let seen = false;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (seen) process.exit(130);
        seen = true;
        resolve(signal);
      });
    }
  });
}
