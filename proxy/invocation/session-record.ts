import { findCondition } from '../../apis/machinery/meta.ts';
import { readDocument } from '../../apis/v1alpha1/document.ts';
import { type Failure, readFailure } from '../../apis/v1alpha1/failure.ts';
import { trustAnchorOf } from '../../apis/v1alpha1/pod-template.ts';
import { projectSession } from '../../apis/v1alpha1/projection.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import { type SuspensionState, suspensionOf } from '../../apis/v1alpha1/suspension.ts';
import type { AuthMode, Session } from '../../apis/v1alpha1/types.ts';
import { fingerprintOf } from '../../apis/wire/trust-anchor.ts';

/** A session as a process keeps it in memory: the resource, and what an invocation needs beyond it. */
export interface SessionRecord {
  session: Session;
  /** uid of the Sandbox: what its Pod's owner reference names. */
  sandboxUid: string;
  /** Absent when the stored session cannot be read. */
  authMode: AuthMode | undefined;
  /** Fingerprint of the key that its sandbox was told to trust; absent when it was told of none. */
  trustAnchor: string | undefined;
  /** Why its Pod does not run, as somebody recorded it. */
  failure: Failure | undefined;
  /** Whether it is to have no Pod, and how far that has come. */
  suspension: SuspensionState;
}

/** Reads a session-bearing Sandbox. Never throws; what cannot be read is a session in phase Failed. */
export function toSessionRecord(sandbox: Sandbox): SessionRecord {
  const result = readDocument(sandbox);
  const document = 'document' in result ? result.document : undefined;
  const authMode = document?.runtime.authMode;
  const anchor = authMode === undefined ? undefined : trustAnchorOf(sandbox.spec?.podTemplate, authMode);
  return {
    session: projectSession(sandbox, result),
    sandboxUid: sandbox.metadata.uid ?? '',
    authMode,
    trustAnchor: anchor === undefined ? undefined : fingerprintOf(anchor),
    failure: readFailure(sandbox),
    suspension: suspensionOf(sandbox, document),
  };
}

/** Why a session in phase Failed cannot be used: the reason and message of the condition that says so. */
export function failureOf({ session }: SessionRecord): { reason: string; message: string } {
  const conditions = session.status?.conditions;
  const condition = findCondition(conditions, 'DataInvalid') ?? findCondition(conditions, 'Ready');
  return { reason: condition?.reason ?? 'Unknown', message: condition?.message ?? 'no reason was recorded' };
}
