import { ApiError } from '../../apis/machinery/errors.ts';
import type { ListMeta } from '../../apis/machinery/meta.ts';
import { groupVersion, kind } from '../../apis/names.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { Representation } from '../http/negotiation.ts';
import { type IncludeObject, partialObject, sessionTable } from './table.ts';

/** How a client wants Sessions, and the moment (milliseconds since the epoch) that a Table's cells tell. */
export interface View extends Representation {
  includeObject: IncludeObject;
  now: number;
}

/** One Session as the client wants it. */
export function represent(session: Session, view: View): object {
  if (view.shape === 'object') return session;
  if (view.shape === 'partial') return partialObject(session.metadata, view.metaVersion);
  const metadata = { resourceVersion: session.metadata.resourceVersion ?? '' };
  return sessionTable([session], metadata, { ...view, columnDefinitions: 'include' });
}

/** A list of Sessions as the client wants it. */
export function representList(items: readonly Session[], metadata: ListMeta, view: View): object {
  if (view.shape === 'object') return { kind: `${kind}List`, apiVersion: groupVersion, metadata, items };
  if (view.shape === 'table') return sessionTable(items, metadata, { ...view, columnDefinitions: 'include' });
  const partial = items.map((session) => partialObject(session.metadata, view.metaVersion));
  return { kind: 'PartialObjectMetadataList', apiVersion: `meta.k8s.io/${view.metaVersion}`, metadata, items: partial };
}

/**
 * The view that a request asks for.
 * @throws ApiError BadRequest.
 */
export function viewOf(representation: Representation, query: URLSearchParams, now: number): View {
  return { ...representation, includeObject: readIncludeObject(query), now };
}

/**
 * What a Table's rows hold besides their cells.
 * @throws ApiError BadRequest.
 */
export function readIncludeObject(query: URLSearchParams): IncludeObject {
  const text = query.get('includeObject') ?? '';
  if (text === '' || text === 'Metadata') return 'Metadata';
  if (text === 'None' || text === 'Object') return text;
  throw new ApiError(
    'BadRequest',
    `unrecognized includeObject value: ${JSON.stringify(text)}; use None, Metadata or Object`,
  );
}
