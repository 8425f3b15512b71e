import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Command } from '../kube/binaries.ts';

/** What a kubectl command printed, and its exit code. */
export interface KubectlResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** How one kubectl command differs from the usual. */
export interface KubectlOptions {
  stdin?: string;
  /** Default: the admin's. */
  kubeconfig?: string;
  /** Variables of its environment besides our own. */
  env?: Record<string, string>;
  /** Rejects with its AbortError when the command was ended by it. */
  signal?: AbortSignal;
  /** Told what is printed to stdout, as it comes. */
  onOutput?: (text: string) => void;
}

/** Runs kubectl. A non-zero exit code is an answer; rejects only when it could not run to its end. */
export type Kubectl = (args: string[], options?: KubectlOptions) => Promise<KubectlResult>;

/** A kubectl for the cluster in `dir` that neither reads nor writes the user's own ~/.kube. */
export function createKubectl(command: Command, options: { dir: string; kubeconfig: string }): Kubectl {
  const base = { ...process.env, KUBECACHEDIR: join(options.dir, 'kubectl-cache'), KUBERC: 'off' };
  return async (args, { stdin, kubeconfig, env, signal, onOutput } = {}) => {
    const child = spawn(command.file, [...command.args, ...args], {
      env: { ...base, ...env, KUBECONFIG: kubeconfig ?? options.kubeconfig },
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(signal === undefined ? {} : { signal }),
    });
    // A command that does not read its input may close it before all is written; its exit code tells the outcome.
    child.stdin.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') child.emit('error', error);
    });
    child.stdin.end(stdin ?? '');
    child.stdout.setEncoding('utf8');
    if (onOutput !== undefined) child.stdout.on('data', onOutput);
    const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    const [[code, ended], stdout, stderr] = await Promise.all([closed, text(child.stdout), text(child.stderr)]);
    if (code === null) throw new Error(`kubectl ${args.join(' ')} was ended by ${ended}`);
    return { code, stdout, stderr };
  };
}
