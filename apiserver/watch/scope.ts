import type { Session } from '../../apis/v1alpha1/types.ts';

/** Which part of the sessions is asked for. */
export interface Scope {
  namespace: string | undefined;
  name: string | undefined;
}

/** Whether a session is in a scope. */
export function inScope({ metadata }: Session, { namespace, name }: Scope): boolean {
  return (
    (namespace === undefined || metadata.namespace === namespace) && (name === undefined || metadata.name === name)
  );
}
