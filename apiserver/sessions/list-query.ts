import { invalid } from '../../apis/machinery/errors.ts';
import { type FieldRequirement, parseFieldSelector } from '../../apis/machinery/field-selector.ts';
import { type LabelRequirement, parseLabelSelector } from '../../apis/machinery/label-selector.ts';
import type { StatusCause } from '../../apis/machinery/meta.ts';
import { forbiddenValue, unsupportedValue } from '../../apis/machinery/names.ts';
import { readBoolean, readInt64 } from '../../apis/machinery/query-values.ts';

/** The parameters that lists, watches and deletions of collections have in common (metav1.ListOptions); the first of a repeated one counts. */
export interface ListQuery {
  labels: LabelRequirement[];
  fields: FieldRequirement[];
  allowWatchBookmarks: boolean;
  /** Empty when absent. */
  resourceVersion: string;
  /** Empty when absent. */
  resourceVersionMatch: string;
  timeoutSeconds: bigint | undefined;
  /** 0 or less: none. */
  limit: bigint;
  /** Empty when absent. */
  continue: string;
  sendInitialEvents: boolean | undefined;
}

/**
 * Decodes list options, in the order in which k8s.io/apimachinery/pkg/apis/meta/v1/zz_generated.conversion.go finds
 * something wrong.
 * @throws ApiError BadRequest.
 */
export function decodeListQuery(query: URLSearchParams): ListQuery {
  const timeoutSeconds = readInt64(query.get('timeoutSeconds'));
  const limit = readInt64(query.get('limit')) ?? 0n;
  return {
    timeoutSeconds,
    limit,
    labels: parseLabelSelector(query.get('labelSelector') ?? ''),
    fields: parseFieldSelector(query.get('fieldSelector') ?? ''),
    allowWatchBookmarks: readBoolean(query.get('allowWatchBookmarks')),
    resourceVersion: query.get('resourceVersion') ?? '',
    resourceVersionMatch: query.get('resourceVersionMatch') ?? '',
    continue: query.get('continue') ?? '',
    sendInitialEvents: query.has('sendInitialEvents') ? readBoolean(query.get('sendInitialEvents')) : undefined,
  };
}

const field = 'resourceVersionMatch';
const beyondContinue = forbiddenValue(field, 'resourceVersionMatch is forbidden when continue is provided');

/**
 * Refuses options of a list that contradict each other (k8s.io/apimachinery/pkg/apis/meta/internalversion/validation).
 * @throws ApiError Invalid.
 */
export function validateList(options: ListQuery): void {
  const causes: StatusCause[] = [];
  const { resourceVersion, resourceVersionMatch: match } = options;
  if (match !== '') {
    if (resourceVersion === '') {
      causes.push(forbiddenValue(field, 'resourceVersionMatch is forbidden unless resourceVersion is provided'));
    }
    if (options.continue !== '') causes.push(beyondContinue);
    if (match !== 'Exact' && match !== 'NotOlderThan')
      causes.push(unsupportedValue(field, match, ['Exact', 'NotOlderThan', '']));
    if (match === 'Exact' && resourceVersion === '0') {
      causes.push(forbiddenValue(field, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
    }
  }
  if (options.sendInitialEvents !== undefined) {
    causes.push(forbiddenValue('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  }
  refuse(causes);
}

/**
 * The options of a watch with what kube-apiserver fills in: one that names no version, or 0, is sent the state first.
 * @throws ApiError Invalid.
 */
export function completeWatch(options: ListQuery): ListQuery {
  const { resourceVersion, resourceVersionMatch: match, sendInitialEvents } = options;
  const isLegacy =
    sendInitialEvents === undefined && match === '' && (resourceVersion === '' || resourceVersion === '0');
  const complete: ListQuery = isLegacy
    ? { ...options, sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' }
    : options;
  refuse(watchCauses(complete));
  return complete;
}

function watchCauses({ resourceVersionMatch: match, sendInitialEvents, continue: next }: ListQuery): StatusCause[] {
  const causes: StatusCause[] = [];
  if (sendInitialEvents !== undefined && match !== 'NotOlderThan') {
    causes.push(forbiddenValue(field, 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'));
  }
  if (match === '') return causes;
  if (sendInitialEvents === undefined) {
    causes.push(
      forbiddenValue(field, 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided'),
    );
  }
  if (match !== 'NotOlderThan') causes.push(unsupportedValue(field, match, ['NotOlderThan']));
  if (next !== '') causes.push(beyondContinue);
  return causes;
}

function refuse(causes: readonly StatusCause[]): void {
  if (causes.length > 0) throw invalid('ListOptions', 'meta.k8s.io', '', causes);
}
