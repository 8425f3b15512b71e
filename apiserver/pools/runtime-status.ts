import type { Runtime } from '../../apis/agentcube/runtime.ts';
import type { RuntimeStatus, WarmPoolStatus } from '../../apis/agentcube/runtime-status.ts';
import { type Condition, findCondition } from '../../apis/machinery/meta.ts';
import { formatTime } from '../../apis/machinery/time.ts';
import { poolNameProblem } from '../../apis/v1alpha1/pool-template.ts';
import { runtimeProblems } from '../../apis/v1alpha1/spec-rules.ts';
import { isSameTrouble } from '../../proxy/invocation/endings/pod-failure.ts';
import type { KnownPool } from './pool-plan.ts';
import type { PoolTrouble } from './pool-trouble.ts';

/** Type of the condition that says whether the pool is as full as the runtime asks for, or why not. */
export const poolCondition = 'WarmPoolReady';

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
  /** What keeps that pool from being full. */
  trouble: PoolTrouble | undefined;
  /** Milliseconds since the epoch. */
  now: number;
}

/** The status that a runtime should have: a function of the stored objects, so that replicas agree on it. */
export function runtimeStatus({ runtime, stored, pool, trouble, now }: StatusInputs): RuntimeStatus {
  const ready = readyCondition(runtime);
  const others = (stored.conditions ?? []).filter(({ type }) => type !== 'Ready' && type !== poolCondition);
  const since = (condition: Omit<Condition, 'lastTransitionTime'>): Condition => {
    const previous = findCondition(stored.conditions, condition.type);
    const lastTransitionTime = previous?.status === condition.status ? previous.lastTransitionTime : formatTime(now);
    return { ...condition, lastTransitionTime };
  };
  return {
    conditions: [
      ...others,
      since({ ...ready, observedGeneration: runtime.generation }),
      ...(pool === undefined ? [] : [since(fullness(pool, trouble, stored))]),
    ],
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

/**
 * A pool that was full once stays so while sandboxes are taken and replaced, which is how it works; one that could not be filled
 * stays so until it is full, whatever its sandboxes go through.
 */
function fullness(
  pool: KnownPool,
  trouble: PoolTrouble | undefined,
  stored: RuntimeStatus,
): Omit<Condition, 'lastTransitionTime'> {
  const type = poolCondition;
  const observedGeneration = pool.record.runtime.generation;
  if (pool.ready >= pool.record.size) {
    const message = 'as many sandboxes wait as the runtime asks for';
    return { type, status: 'True', reason: 'PoolFull', message, observedGeneration };
  }
  const before = stored.warmPool?.name === pool.name ? findCondition(stored.conditions, type) : undefined;
  if (trouble !== undefined && !(before?.status === 'False' && isSame(before, trouble))) {
    return { type, status: 'False', ...trouble, observedGeneration };
  }
  if (before !== undefined) return { ...before, observedGeneration };
  return { type, status: 'Unknown', reason: 'Filling', message: 'its first sandboxes are started', observedGeneration };
}

function isSame(a: PoolTrouble, b: PoolTrouble): boolean {
  const unnamed = { podUid: '', final: false };
  return isSameTrouble({ ...a, ...unnamed }, { ...b, ...unnamed });
}

function poolStatus({ name, record, ready }: KnownPool): WarmPoolStatus {
  return { name, templateName: name, desired: record.size, ready };
}

/** What sandboxes do to a status by coming and going; it is written when it has settled. */
export function poolState({ conditions, warmPool }: RuntimeStatus): string {
  const condition = findCondition(conditions, poolCondition);
  return JSON.stringify([warmPool?.ready, condition?.status, condition?.reason, condition?.message]);
}

/** How a status differs from the stored one: in what it says, or only in the state of the pool. */
export function statusDifference(stored: RuntimeStatus, wanted: RuntimeStatus): 'none' | 'pool' | 'content' {
  if (content(stored) !== content(wanted)) return 'content';
  return poolState(stored) === poolState(wanted) ? 'none' : 'pool';
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
