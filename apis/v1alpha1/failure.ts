import { annotations } from '../names.ts';
import type { Sandbox } from './sandbox.ts';

/** Why the Pod of a session does not run, as its failure annotation holds it. */
export interface Failure {
  /** Kubernetes' own word: ImagePullBackOff, OOMKilled, Evicted, ... */
  reason: string;
  message: string;
  /** Whether this Pod will never run (phase Failed); else Kubernetes goes on trying (phase Pending). */
  final: boolean;
  /** uid of the Pod that it is about: it says nothing about the next one. */
  podUid: string;
}

const longestReason = 128;
const longestMessage = 512;

/** A failure as the annotation holds it, within its bounds. */
export function serializeFailure({ reason, message, final, podUid }: Failure): string {
  return JSON.stringify({
    reason: reason.slice(0, longestReason),
    message: message.length <= longestMessage ? message : `${message.slice(0, longestMessage)}…`,
    final,
    podUid,
  });
}

/** The failure that is recorded on a Sandbox; one that cannot be read is of no Pod, and not final. */
export function readFailure(sandbox: Sandbox): Failure | undefined {
  const text: unknown = sandbox.metadata.annotations?.[annotations.failure];
  if (text === undefined) return undefined;
  return (
    parseFailure(text) ?? {
      reason: 'Unknown',
      message: 'the recorded reason cannot be read',
      final: false,
      podUid: '',
    }
  );
}

function parseFailure(text: unknown): Failure | undefined {
  if (typeof text !== 'string') return undefined;
  try {
    const value = JSON.parse(text) as Partial<Record<keyof Failure, unknown>> | null;
    if (typeof value?.reason !== 'string' || typeof value.message !== 'string') return undefined;
    const podUid = typeof value.podUid === 'string' ? value.podUid : '';
    return { reason: value.reason, message: value.message, final: value.final === true, podUid };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}
