import { execFileSync, spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

/** Cores of this machine: one for what is measured, another one for what sends it requests and answers them. */
export interface Cores {
  measured: number | undefined;
  rest: number | undefined;
}

/** Two cores that processes can be bound to; neither is set where `taskset` (util-linux) or a second core is missing. */
export function chooseCores(): Cores {
  const none = { measured: undefined, rest: undefined };
  if (availableParallelism() < 2) return none;
  const { status, stdout } = spawnSync('taskset', ['-cp', String(process.pid)], { encoding: 'utf8' });
  const [measured, rest] = status === 0 ? listed(stdout.slice(stdout.lastIndexOf(':') + 1)) : [];
  return measured === undefined || rest === undefined ? none : { measured, rest };
}

/** The command line that runs another one on a core. */
export function onCore(core: number | undefined, command: readonly string[]): string[] {
  return core === undefined ? [...command] : ['taskset', '-c', String(core), ...command];
}

/** Binds a process with all its threads to a core. Returns what lets it run on those of this process again. */
export function bind(pid: number, core: number | undefined): () => void {
  if (core === undefined) return () => undefined;
  const own = execFileSync('taskset', ['-p', String(process.pid)], { encoding: 'utf8' });
  execFileSync('taskset', ['-acp', String(core), String(pid)]);
  return () => {
    // One that has ended meanwhile needs no cores.
    spawnSync('taskset', ['-ap', own.slice(own.lastIndexOf(':') + 1).trim(), String(pid)]);
  };
}

/** Numbers of a list like `0-2,5`. */
function listed(list: string): number[] {
  return list.split(',').flatMap((range) => {
    const [first = Number.NaN, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
