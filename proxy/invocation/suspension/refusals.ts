import { hasReason } from '../../../apis/machinery/errors.ts';

/** A policy or a missing right does not change by being asked again and again. */
const longestRefusedMs = 5 * 60_000;

/**
 * How long to leave a write alone that failed: what was refused for good is tried less and less often, everything else
 * (kube-apiserver is away, or has too much to do) at an even pace.
 * @param failures how many there were in a row before this one.
 */
export function failurePauseMs(error: unknown, failures: number, firstMs: number): number {
  if (!hasReason(error, 'Forbidden', 'Invalid', 'BadRequest', 'MethodNotAllowed', 'RequestEntityTooLarge')) {
    return firstMs;
  }
  return Math.min(firstMs * 2 ** Math.min(failures, 16), longestRefusedMs);
}
