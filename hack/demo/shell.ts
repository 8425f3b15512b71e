import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { checkout } from '../start/places.ts';

/** A step of the demo did not do what it says. */
export class StepFailed extends Error {}

export interface Expectation {
  /** Exit code; 0 when absent. */
  code?: number | 'not zero';
  /** What standard output and error together must hold. */
  shows?: RegExp;
}

export type Person = 'admin' | 'alice' | 'bob';

/** Runs commands as a user would type them, prints each with its real output, and insists on how it ends. */
export class Shell {
  readonly #dir: string;
  readonly #report: (line: string) => void;
  readonly #variables: Record<string, string> = {};

  constructor(dir: string, report: (line: string) => void) {
    this.#dir = dir;
    this.#report = report;
  }

  /** A heading between commands. */
  say(text: string): void {
    this.#report(`\n# ${text}`);
  }

  /** Sets a variable for later commands, as `NAME=...` would. */
  set(name: string, value: string): void {
    this.#variables[name] = value;
    this.#report(`$ ${name}=${value.length > 60 ? `${value.slice(0, 24)}…` : value}`);
  }

  /**
   * Runs one command line. Returns what it printed.
   * @throws StepFailed when it ends otherwise than expected.
   */
  async run(command: string, expected: Expectation & { as?: Person; quiet?: 'output' } = {}): Promise<string> {
    const person = expected.as ?? 'admin';
    this.#report(`$ ${command}${person === 'admin' ? '' : `        # as ${person}`}`);
    const child = this.#spawn(command, person);
    const output: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => output.push(chunk));
    const [code] = (await once(child, 'close')) as [number | null];
    const text = Buffer.concat(output).toString('utf8');
    if (expected.quiet === undefined && text.trim() !== '') this.#report(text.trimEnd());
    const wanted = expected.code ?? 0;
    const codeHolds = wanted === 'not zero' ? code !== 0 : code === wanted;
    if (!codeHolds) throw new StepFailed(`The command above ended with exit code ${code}, expected ${wanted}.`);
    if (expected.shows !== undefined && !expected.shows.test(text)) {
      throw new StepFailed(`The output above does not show ${expected.shows}.`);
    }
    return text.trim();
  }

  /** Starts a command that goes on beside the next ones; `end` stops it and prints what it has printed. */
  begin(command: string): { end: (expected: { shows: RegExp }) => Promise<void> } {
    this.#report(`$ ${command} &`);
    const child = this.#spawn(command, 'admin');
    const output: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => output.push(chunk));
    const closed = once(child, 'close');
    return {
      end: async ({ shows }) => {
        if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGTERM');
        await closed;
        const text = Buffer.concat(output).toString('utf8');
        this.#report(`  (what "${command}" printed meanwhile)\n${text.trimEnd()}`);
        if (!shows.test(text)) throw new StepFailed(`The output above does not show ${shows}.`);
      },
    };
  }

  #spawn(command: string, person: Person): ChildProcess {
    const kubeconfig = person === 'admin' ? 'kubeconfig' : join('users', `${person}.kubeconfig`);
    return spawn(
      'sh',
      ['-c', `. '${join(this.#dir, 'env')}'; KUBECONFIG='${join(this.#dir, kubeconfig)}'; ${command}`],
      {
        cwd: checkout,
        env: { ...process.env, ...this.#variables },
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      },
    );
  }
}
