import type { Runtime } from '../../apis/agentcube/runtime.ts';
import type { RuntimeStatus, WarmPoolStatus } from '../../apis/agentcube/runtime-status.ts';
import { type Condition, findCondition } from '../../apis/machinery/meta.ts';
import { formatTime } from '../../apis/machinery/time.ts';
import { poolNameProblem } from '../../apis/v1alpha1/pool-template.ts';
import { runtimeProblems } from '../../apis/v1alpha1/spec-rules.ts';
import type { KnownPool } from './pool-plan.ts';

/** Why no pool is kept of a runtime that asks for one; undefined when there is no reason. */
export function poolProblem(runtime: Runtime): string | undefined {
  return (runtime.warmPoolSize ?? 0) === 0 ? undefined : poolNameProblem(runtime);
}

export interface StatusInputs {
  runtime: Runtime;
  /** As it is stored. */
  stored: RuntimeStatus;
  /** The pool that stands for the runtime now. */
  pool: KnownPool | undefined;
  /** Milliseconds since the epoch. */
  now: number;
}

/** The status that a runtime should have: a function of the stored objects, so that replicas agree on it. */
export function runtimeStatus({ runtime, stored, pool, now }: StatusInputs): RuntimeStatus {
  const ready = readyCondition(runtime);
  const previous = findCondition(stored.conditions, 'Ready');
  const lastTransitionTime = previous?.status === ready.status ? previous.lastTransitionTime : formatTime(now);
  const others = (stored.conditions ?? []).filter(({ type }) => type !== 'Ready');
  return {
    conditions: [...others, { ...ready, observedGeneration: runtime.generation, lastTransitionTime }],
    ...(runtime.kind === 'CodeInterpreter' ? { ready: ready.status === 'True' } : {}),
    observedGeneration: runtime.generation,
    warmPool: pool === undefined ? null : poolStatus(pool),
  };
}

function readyCondition(runtime: Runtime): Pick<Condition, 'type' | 'status' | 'reason' | 'message'> {
  const problems = runtimeProblems(runtime);
  if (problems.length > 0) {
    return { type: 'Ready', status: 'False', reason: 'InvalidRuntime', message: problems.join('; ') };
  }
  const noPool = poolProblem(runtime);
  if (noPool !== undefined) {
    const message = `sessions start cold: ${noPool}`;
    return { type: 'Ready', status: 'True', reason: 'NoWarmPool', message };
  }
  return { type: 'Ready', status: 'True', reason: 'RuntimeReady', message: 'sessions can be created' };
}

function poolStatus({ name, record, ready }: KnownPool): WarmPoolStatus {
  return { name, templateName: name, desired: record.size, ready };
}

/** How a status differs from the stored one: in what it says, or only in how many sandboxes are ready. */
export function statusDifference(stored: RuntimeStatus, wanted: RuntimeStatus): 'none' | 'numbers' | 'content' {
  if (content(stored) !== content(wanted)) return 'content';
  return stored.warmPool?.ready === wanted.warmPool?.ready ? 'none' : 'numbers';
}

function content({ conditions, ready, observedGeneration, warmPool }: RuntimeStatus): string {
  const condition = findCondition(conditions, 'Ready');
  return JSON.stringify([
    condition?.status,
    condition?.reason,
    condition?.message,
    condition?.observedGeneration,
    ready,
    observedGeneration,
    warmPool?.name,
    warmPool?.templateName,
    warmPool?.desired,
  ]);
}
