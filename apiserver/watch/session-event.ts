import type { Session } from '../../apis/v1alpha1/types.ts';

export type ChangeType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** One change of one session. kube-apiserver turns transitions of our marker label into ADDED and DELETED. */
export class SessionEvent {
  readonly type: ChangeType;
  readonly resourceVersion: bigint;
  /** Before the change; absent for ADDED. */
  readonly previous: Session | undefined;
  /** After it; for DELETED the last state, under the deletion's resourceVersion. */
  readonly current: Session;
  #departed: Session | undefined;

  constructor(type: ChangeType, change: { previous: Session | undefined; current: Session }) {
    this.type = type;
    this.previous = change.previous;
    this.current = change.current;
    this.resourceVersion = BigInt(change.current.metadata.resourceVersion ?? '0');
  }

  /**
   * What those are sent whose selection the session has left: the state before the change under the change's
   * resourceVersion, as kube-apiserver's watch cache sends it. One object for all of them.
   */
  get departed(): Session {
    if (this.type === 'DELETED') return this.current;
    const last = this.previous ?? this.current;
    const metadata = { ...last.metadata, resourceVersion: String(this.resourceVersion) };
    this.#departed ??= { ...last, metadata };
    return this.#departed;
  }
}
