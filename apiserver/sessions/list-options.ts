import type { ResourceRequest } from '../http/request-info.ts';
import { invalidListOptions, parseResourceVersion } from '../watch/options.ts';
import { readSelection, type Selection } from './selection.ts';

/** What a list asks for; texts as the client sent them. */
export interface ListOptions {
  namespace: string | undefined;
  selection: Selection;
  limit: string | undefined;
  continue: string | undefined;
  resourceVersion: string | undefined;
  resourceVersionMatch: string | undefined;
}

/**
 * Reads and validates the options of a list.
 * @throws ApiError BadRequest or Invalid.
 */
export function readListOptions({ namespace, query }: ResourceRequest): ListOptions {
  if (query.has('sendInitialEvents')) {
    const message = 'Forbidden: sendInitialEvents is forbidden for list';
    throw invalidListOptions([{ reason: 'FieldValueForbidden', message, field: 'sendInitialEvents' }]);
  }
  parseResourceVersion(query.get('resourceVersion'));
  const text = (name: string) => query.get(name) || undefined;
  return {
    namespace,
    selection: readSelection(query),
    limit: text('limit'),
    continue: text('continue'),
    resourceVersion: text('resourceVersion'),
    resourceVersionMatch: text('resourceVersionMatch'),
  };
}
