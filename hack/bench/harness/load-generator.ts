import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Operation, Operations } from '../load/operations.ts';
import { onCore } from './cores.ts';

const main = fileURLToPath(new URL('../load/main.ts', import.meta.url));

interface Report {
  id: number;
  result?: unknown;
  error?: string;
}

/** The process that sends the requests of benchmarks. It ends with this one. */
export class LoadGenerator {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #orders = 0;

  /** @param core what it may run on; anything when undefined. */
  constructor(core: number | undefined) {
    const [file = '', ...args] = onCore(core, [process.execPath, main]);
    this.#child = spawn(file, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child.on('message', ({ id, result, error }: Report) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(new Error(error));
    });
    const onEnd = () => this.#fail(new Error('the load generator ended before its time'));
    this.#child.on('error', onEnd).on('exit', onEnd);
  }

  /** @throws Error when an answer was wrong or did not come. */
  async run<O extends Operation>(
    operation: O,
    parameters: Parameters<Operations[O]>[0],
  ): Promise<Awaited<ReturnType<Operations[O]>>> {
    this.#orders += 1;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(this.#orders, waiting);
    this.#child.send({ id: this.#orders, operation, parameters });
    return (await waiting.promise) as Awaited<ReturnType<Operations[O]>>;
  }

  close(): void {
    if (this.#child.connected) this.#child.disconnect();
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
