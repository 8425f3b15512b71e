import { findCondition } from '../../apis/machinery/meta.ts';
import { readDocument } from '../../apis/v1alpha1/document.ts';
import { projectSession } from '../../apis/v1alpha1/projection.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import type { AuthMode, Session } from '../../apis/v1alpha1/types.ts';

/** A session as a process keeps it in memory: the resource, and what an invocation needs beyond it. */
export interface SessionRecord {
  session: Session;
  /** uid of the Sandbox: what its Pod's owner reference names. */
  sandboxUid: string;
  /** Absent when the stored session cannot be read. */
  authMode: AuthMode | undefined;
}

/** Reads a session-bearing Sandbox. Never throws; what cannot be read is a session in phase Failed. */
export function toSessionRecord(sandbox: Sandbox): SessionRecord {
  const result = readDocument(sandbox);
  return {
    session: projectSession(sandbox),
    sandboxUid: sandbox.metadata.uid ?? '',
    authMode: 'document' in result ? result.document.runtime.authMode : undefined,
  };
}

/** Why a session in phase Failed cannot be used: the reason and message of the condition that says so. */
export function failureOf({ session }: SessionRecord): { reason: string; message: string } {
  const conditions = session.status?.conditions;
  const condition = findCondition(conditions, 'DataInvalid') ?? findCondition(conditions, 'Ready');
  return { reason: condition?.reason ?? 'Unknown', message: condition?.message ?? 'no reason was recorded' };
}
