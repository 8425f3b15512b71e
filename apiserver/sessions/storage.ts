import type { ListMeta } from '../../apis/machinery/meta.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { SessionChange } from './change.ts';
import type { CreatedSession, CreateOptions } from './creation.ts';
import type { DecodedSession } from './decode.ts';
import type { DeleteOptions } from './delete-options.ts';
import type { Selection } from './selection.ts';
import type { ChangedSession } from './updates.ts';

/** Whether a write is only tried (`dryRun=All`): every check, no effect. */
export type DryRun = 'All' | undefined;

export interface ListOptions {
  namespace: string | undefined;
  selection: Selection;
  limit: string | undefined;
  continue: string | undefined;
  resourceVersion: string | undefined;
  resourceVersionMatch: string | undefined;
}

export interface SessionPage {
  metadata: ListMeta;
  items: Session[];
}

/** What a deletion left: the Session that still waits for its finalizers, or only its uid. */
export type Deletion = { kind: 'waiting'; session: Session } | { kind: 'gone'; uid: string };

/** Where Sessions are kept. Every answer is what kube-apiserver answered, projected; every error is the Session's own. */
export interface SessionStorage {
  /** @param resourceVersion "0" takes any version there is; everything else is as fresh as kube-apiserver. */
  get(namespace: string, name: string, resourceVersion: string | undefined): Promise<Session>;
  list(options: ListOptions): Promise<SessionPage>;
  create(namespace: string, session: DecodedSession, options: CreateOptions): Promise<CreatedSession>;
  update(namespace: string, name: string, change: SessionChange, options: { dryRun: DryRun }): Promise<ChangedSession>;
  delete(namespace: string, name: string, options: DeleteOptions): Promise<Deletion>;
}
