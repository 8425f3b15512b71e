import type { ManagedFieldsEntry } from '../../apis/machinery/managed-fields/managers.ts';
import type { ClientRequest } from '../../apis/runtime/listener.ts';
import { documentLimitBytes } from '../../apis/v1alpha1/document.ts';
import { ownersAfterUpdate, ownersAtCreation, type WrittenSession } from '../../apis/v1alpha1/session-fields.ts';
import type { CompleteSessionSpec, Session } from '../../apis/v1alpha1/types.ts';
import type { SessionChange } from './change.ts';
import type { DecodedPart, DecodedSession } from './decode.ts';
import { chosenBytes } from './size.ts';
import { longestManager } from './write-options.ts';

/** metadata.managedFields of a Session that is about to be written, once its spec has its defaults. */
export type Owners = (spec: CompleteSessionSpec) => ManagedFieldsEntry[] | undefined;

/** A {@link SessionChange} that also says who owns what afterwards. */
export type OwnedChange = (current: Session, part: DecodedPart) => DecodedSession & { owners: Owners };

/** Who writes, and when. */
export interface Writer {
  manager: string;
  /** Milliseconds since the epoch. */
  now: number;
}

/** The change, its writer owning what it changes. */
export function ownedBy(change: SessionChange, writer: Writer): OwnedChange {
  return (current, part) => {
    const decoded = change(current, part);
    return {
      ...decoded,
      owners: (spec) =>
        bounded(
          { metadata: decoded.metadata, spec },
          ownersAfterUpdate(current, { metadata: decoded.metadata, spec }, writer),
        ),
    };
  };
}

/** Owners of a new Session: who creates it. */
export function ownersOfNew({ metadata }: Pick<DecodedSession, 'metadata'>, writer: Writer): Owners {
  return (spec) => bounded({ metadata, spec }, ownersAtCreation({ metadata, spec }, writer));
}

/** kube-apiserver, too, does without managedFields before it refuses a write as too large (endpoints/handlers/patch.go). */
function bounded(written: WrittenSession, owners: ManagedFieldsEntry[] | undefined): ManagedFieldsEntry[] | undefined {
  return chosenBytes(written) + ownersBytes(owners) <= documentLimitBytes ? owners : undefined;
}

/** Bytes that managedFields take in the stored session. */
export function ownersBytes(owners: ManagedFieldsEntry[] | undefined): number {
  return owners === undefined ? 0 : Buffer.byteLength(JSON.stringify(owners));
}

/** The manager that a request names, or else the program that sent it (k8s.io/apiserver/pkg/endpoints/handlers/create.go). */
export function managerOf(query: URLSearchParams, headers: ClientRequest['headers']): string {
  const named = query.get('fieldManager') ?? '';
  if (named !== '') return named;
  const agent = Buffer.from(headers['user-agent'] ?? '', 'latin1').toString('utf8');
  const [program = ''] = agent.split('/');
  let manager = '';
  for (const character of program.replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, '')) {
    if (Buffer.byteLength(manager + character) > longestManager) break;
    manager += character;
  }
  return manager;
}
