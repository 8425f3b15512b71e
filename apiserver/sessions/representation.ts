import { ApiError } from '../../apis/machinery/errors.ts';
import type { ListMeta } from '../../apis/machinery/meta.ts';
import { goQuote } from '../../apis/machinery/quote.ts';
import { groupVersion, kind } from '../../apis/names.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { Representation } from '../http/negotiation.ts';
import { type IncludeObject, partialObject, sessionTable } from './table.ts';

/** How a client wants Sessions, and the moment (milliseconds since the epoch) that a Table's cells tell. */
export interface View extends Representation {
  includeObject: IncludeObject;
  now: number;
}

/**
 * One Session as the client wants it.
 * @throws ApiError when he wants a list.
 */
export function represent(session: Session, view: View): object {
  if (view.shape === 'object') return session;
  if (view.shape === 'partial') return partialObject(session.metadata, view.metaVersion);
  // kube-apiserver's own words, for which it has no reason.
  if (view.shape === 'partialList') throw new ApiError('Unknown', 'content is not a list');
  const metadata = { resourceVersion: session.metadata.resourceVersion ?? '' };
  return sessionTable([session], metadata, { ...view, columnDefinitions: 'include' });
}

/**
 * A list of Sessions as the client wants it.
 * @throws ApiError NotAcceptable when he wants one object.
 */
export function representList(items: readonly Session[], metadata: ListMeta, view: View): object {
  if (view.shape === 'object') return { kind: `${kind}List`, apiVersion: groupVersion, metadata, items };
  // Only the lists of custom resources say that there is no more; those of meta.k8s.io leave it out.
  const { continue: next, ...others } = metadata;
  const listMeta = next === undefined || next === '' ? others : metadata;
  if (view.shape === 'table') return sessionTable(items, listMeta, { ...view, columnDefinitions: 'include' });
  if (view.shape === 'partial') {
    throw new ApiError(
      'NotAcceptable',
      'you requested PartialObjectMetadata, but the requested object is a list (*unstructured.UnstructuredList)',
    );
  }
  const partial = items.map((session) => partialObject(session.metadata, view.metaVersion));
  return {
    kind: 'PartialObjectMetadataList',
    apiVersion: `meta.k8s.io/${view.metaVersion}`,
    metadata: listMeta,
    // So Go writes a list that nothing was ever added to.
    items: partial.length === 0 ? null : partial,
  };
}

/**
 * The view that a request asks for.
 * @throws ApiError BadRequest.
 */
export function viewOf(representation: Representation, query: URLSearchParams, now: number): View {
  const includeObject = representation.shape === 'table' ? readIncludeObject(query) : 'Metadata';
  return { ...representation, includeObject, now };
}

/**
 * What a Table's rows hold besides their cells.
 * @throws ApiError BadRequest.
 */
function readIncludeObject(query: URLSearchParams): IncludeObject {
  const text = query.get('includeObject') ?? '';
  if (text === '' || text === 'Metadata') return 'Metadata';
  if (text === 'None' || text === 'Object') return text;
  throw new ApiError(
    'BadRequest',
    `Unable to convert to Table as requested: includeObject: Invalid value: ${goQuote(text)}: must be 'Metadata', 'Object', 'None', or empty`,
  );
}
