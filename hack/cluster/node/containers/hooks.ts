import type { Container, LifecycleHandler } from '../api/pod.ts';
import { checkHttp } from '../probes/checks.ts';
import { pause } from '../time.ts';
import { runCommand } from './command.ts';
import type { ProcessPlan } from './process-plan.ts';

export interface HookTarget {
  container: Container;
  podIP: string;
  plan: ProcessPlan;
}

/**
 * Runs a lifecycle hook (k8s.io/kubernetes/pkg/kubelet/lifecycle/handlers.go) until it has ended or the signal.
 * Returns why it failed; being broken off is no failure of its own. Never rejects.
 */
export async function runHook(
  hook: LifecycleHandler,
  target: HookTarget,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    if (hook.sleep !== undefined) await pause(hook.sleep.seconds * 1000, signal);
    if (hook.httpGet !== undefined) {
      const problem = await checkHttp(hook.httpGet, target, signal);
      return signal.aborted ? undefined : problem;
    }
    if (hook.exec !== undefined) {
      const end = await runCommand(hook.exec.command ?? [], target.plan, signal);
      if (end !== 'broken off' && end.exitCode !== 0) return `exit code ${end.exitCode}: ${end.output}`;
    }
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
