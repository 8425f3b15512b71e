import type { ResourceRequest } from '../http/request-info.ts';
import { decodeListQuery, validateList } from './list-query.ts';
import { type Selection, selectionOf } from './selection.ts';

/** What a list asks for. */
export interface ListOptions {
  namespace: string | undefined;
  selection: Selection;
  /** Most items of the answer; undefined: all. */
  limit: number | undefined;
  /** Where an earlier page ended, as the client sent it back. */
  continue: string | undefined;
  /** As the client sent it. */
  resourceVersion: string | undefined;
  resourceVersionMatch: string | undefined;
}

/** All of a namespace's sessions, as fresh as kube-apiserver has them. */
export const freshAndWhole = {
  limit: undefined,
  continue: undefined,
  resourceVersion: undefined,
  resourceVersionMatch: undefined,
} as const;

/**
 * Reads and validates the options of a list.
 * @throws ApiError BadRequest or Invalid.
 */
export function readListOptions({ namespace, name, query }: ResourceRequest): ListOptions {
  const decoded = decodeListQuery(query);
  validateList(decoded);
  return {
    namespace,
    selection: selectionOf(decoded, name),
    limit: decoded.limit > 0n ? Number(decoded.limit) : undefined,
    continue: decoded.continue || undefined,
    resourceVersion: decoded.resourceVersion || undefined,
    resourceVersionMatch: decoded.resourceVersionMatch || undefined,
  };
}
