import type { Runtime } from '../agentcube/runtime.ts';
import { clip } from '../machinery/errors.ts';
import type { StatusCause } from '../machinery/meta.ts';
import { forbiddenValue, immutable, invalidValue, ruleBroken } from '../machinery/names.ts';
import { annotations } from '../names.ts';
import { parseDuration } from './duration.ts';
import type { CompleteSessionSpec, SessionSpec } from './types.ts';
import { isVolumeSize } from './workspace.ts';

/** Shortest idle timeout in milliseconds: below it, activity would be written as often as once a second. */
const shortestIdleTimeoutMs = 5_000;

/** Longest time limit in milliseconds, a century: what is added to a date must still be one. */
const longestLimitMs = 100 * 365 * 24 * 3_600_000;

/** Why no session can be made of a runtime, whatever its spec says. */
export function runtimeCauses(runtime: Runtime): StatusCause[] {
  const { kind, name } = runtime;
  return runtimeProblems(runtime).map((problem) =>
    forbiddenValue('spec.runtimeRef', `${kind} "${name}" cannot be used: ${problem}`),
  );
}

/** What is wrong with a runtime, each in words that name its field. */
export function runtimeProblems({ limits, workspace }: Runtime): string[] {
  const problems: string[] = [];
  for (const [field, text] of Object.entries({
    sessionTimeout: limits.idleTimeout,
    maxSessionDuration: limits.maxDuration,
  })) {
    const ms = durationOf(text);
    if (ms === undefined || ms < shortestIdleTimeoutMs || ms > longestLimitMs) {
      problems.push(`${field} ${JSON.stringify(clip(text))} is not a duration of at least 5s`);
    }
  }
  if (workspace !== undefined && !isVolumeSize(workspace)) {
    problems.push(`annotation ${annotations.workspace} ${JSON.stringify(clip(workspace))} is not a size such as 1Gi`);
  }
  return problems;
}

function durationOf(text: string): number | undefined {
  try {
    return parseDuration(text);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** A spec with its defaults: the runtime's limits, idleAction Delete, no hold. */
export function completeSpec(spec: SessionSpec, limits: Runtime['limits']): CompleteSessionSpec {
  const maxDuration = spec.maxDuration ?? limits.maxDuration;
  const shorter = parseDuration(limits.idleTimeout) <= parseDuration(maxDuration) ? limits.idleTimeout : maxDuration;
  return {
    runtimeRef: { kind: spec.runtimeRef.kind, name: spec.runtimeRef.name },
    idleTimeout: spec.idleTimeout ?? shorter,
    maxDuration,
    idleAction: spec.idleAction ?? 'Delete',
    suspended: spec.suspended ?? false,
  };
}

/** Every problem of a complete spec against its runtime's limits. */
export function specCauses(spec: CompleteSessionSpec, limits: Runtime['limits']): StatusCause[] {
  const causes: StatusCause[] = [];
  const idle = parseDuration(spec.idleTimeout);
  const max = parseDuration(spec.maxDuration);
  if (idle > max) {
    causes.push(ruleBroken('spec.idleTimeout', `must not be more than maxDuration (${spec.maxDuration})`));
  }
  if (idle < shortestIdleTimeoutMs) {
    causes.push(invalidValue('spec.idleTimeout', spec.idleTimeout, 'must be at least 5s'));
  }
  if (max > parseDuration(limits.maxDuration)) {
    const problem = `must not be more than the runtime's maxSessionDuration (${limits.maxDuration})`;
    causes.push(invalidValue('spec.maxDuration', spec.maxDuration, problem));
  }
  if (max < shortestIdleTimeoutMs) {
    causes.push(invalidValue('spec.maxDuration', spec.maxDuration, 'must be at least 5s'));
  }
  return causes;
}

/** Every problem of a complete spec in place of the stored one, against the limits copied at creation. */
export function specUpdateCauses(
  spec: CompleteSessionSpec,
  stored: CompleteSessionSpec,
  limits: Runtime['limits'],
): StatusCause[] {
  const { kind, name } = spec.runtimeRef;
  const moved = kind !== stored.runtimeRef.kind || name !== stored.runtimeRef.name;
  return [...(moved ? [ruleBroken('spec.runtimeRef', immutable)] : []), ...specCauses(spec, limits)];
}
