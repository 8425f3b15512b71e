import { relative } from 'node:path';
import { type Cluster, startCluster } from '../cluster/cluster.ts';
import type { ProcessExit } from '../cluster/process.ts';
import type { Reporter } from '../kube/progress.ts';
import { SetupError } from '../kube/setup-error.ts';
import { exampleFiles, stateDir } from './places.ts';
import { welcome } from './welcome.ts';

export interface StartOptions extends Reporter {
  /** Cancels the start. */
  signal: AbortSignal;
}

/** Starts the local cluster as `npm start` does: says each step, applies the sample runtime, prints what to try. */
export async function start(options: StartOptions): Promise<Cluster> {
  const { report } = options;
  const dir = stateDir(process.env);
  const began = performance.now();
  report(
    `Sojourn on a real Kubernetes control plane, in ${relative(process.cwd(), dir) || '.'} (logs in ${relative(process.cwd(), dir)}/logs)`,
  );
  report('WARNING: NO ISOLATION. Sandboxes are plain processes of your user here. Run only code that you trust.\n');
  const cluster = await startCluster({ ...options, dir, onExit: (exit) => report(describeExit(exit)) });
  const applied = await cluster.plane.kubectl(['apply', '-f', exampleFiles.codeInterpreter]);
  if (applied.code !== 0) throw new SetupError(`the sample runtime could not be applied: ${applied.stderr.trim()}`);
  report(`  ${applied.stdout.trim()}`);
  report(`\nReady after ${((performance.now() - began) / 1000).toFixed(1)} s.\n`);
  report(welcome(dir));
  return cluster;
}

/** What a user must know when a process ended that nobody stopped. */
export function describeExit({ name, pid, code, signal, logPath, logTail }: ProcessExit): string {
  const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
  const tail = logTail.trim() === '' ? '' : `\n${logTail.trimEnd().replace(/^/gm, '    ')}`;
  return `\n${name} (process ${pid}) ended ${how}. Stop with Ctrl-C and start again; its log is ${logPath}:${tail}\n`;
}
