import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { startFailure } from './container-process.ts';
import type { ProcessPlan } from './process-plan.ts';

/** What a shell may add to its environment by itself. */
const shellVariables = ['PWD', 'OLDPWD', 'SHLVL', '_'];

/**
 * The same process, begun by a shell that first writes its id to a file (`cgroup.procs`): from outside it could only be
 * moved after it has already started others.
 * @throws ApiError Invalid when there is no such program, which the shell could not tell from a program's own failure.
 */
export async function joining(plan: ProcessPlan, joinFile: string): Promise<ProcessPlan> {
  await findProgram(plan);
  const added = shellVariables.filter((name) => plan.env[name] === undefined).join(' ');
  const script = `echo $$ > "$0" || exit 1; unset ${added}; exec "$@"`;
  return { ...plan, file: '/bin/sh', args: ['-c', script, joinFile, plan.file, ...plan.args] };
}

async function findProgram({ file, env, cwd }: ProcessPlan): Promise<void> {
  const folders = file.includes('/') ? [''] : (env.PATH ?? '').split(delimiter);
  let problem: unknown;
  for (const folder of folders) {
    const path = join(folder, file);
    try {
      await access(path.startsWith('/') ? path : join(cwd, path), constants.X_OK);
      return;
    } catch (error) {
      // One that is there but may not be run says more than one that is not there.
      if (problem === undefined || (error as NodeJS.ErrnoException).code === 'EACCES') problem = error;
    }
  }
  throw startFailure(file, problem);
}
