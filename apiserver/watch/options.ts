import { ApiError, clip } from '../../apis/machinery/errors.ts';
import type { StatusCause } from '../../apis/machinery/meta.ts';
import { forbiddenValue } from '../../apis/machinery/names.ts';

/** What a watch request asks for besides its selection and format. */
export interface WatchOptions {
  /** Undefined and 0 both start with the current state. */
  resourceVersion: bigint | undefined;
  /** WatchList (KEP-3157): the state first, then a marked bookmark. */
  sendInitialEvents: boolean;
  bookmarks: boolean;
  /** Seconds after which the watch ends by itself. */
  timeoutSeconds: number;
}

/** The shortest of the random lives of a watch whose client names none (k8s.io/apiserver, MinRequestTimeout). */
const minTimeoutSeconds = 1800;
/** What a timer of Node can wait, 2^31 ms, and then some less. */
const longestTimeoutSeconds = 2_000_000;

/**
 * Reads and validates the options of a watch (k8s.io/apimachinery/pkg/apis/meta/internalversion/validation).
 * @throws ApiError BadRequest or Invalid.
 */
export function readWatchOptions(query: URLSearchParams): WatchOptions {
  const sendInitialEvents = readBoolean(query.get('sendInitialEvents'));
  const match = query.get('resourceVersionMatch');
  const causes: StatusCause[] = [];
  if (query.has('sendInitialEvents') && match !== 'NotOlderThan') {
    causes.push(
      forbiddenValue('resourceVersionMatch', 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'),
    );
  }
  if (!query.has('sendInitialEvents') && match !== null && match !== '') {
    causes.push(
      forbiddenValue(
        'resourceVersionMatch',
        'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
      ),
    );
  }
  if (causes.length > 0) throw invalidListOptions(causes);
  const timeout = readSeconds(query.get('timeoutSeconds'));
  return {
    resourceVersion: parseResourceVersion(query.get('resourceVersion')),
    sendInitialEvents,
    bookmarks: readBoolean(query.get('allowWatchBookmarks')),
    timeoutSeconds: timeout > 0 ? timeout : minTimeoutSeconds * (1 + Math.random()),
  };
}

/** A boolean parameter as k8s.io/apimachinery/pkg/runtime/converter.go reads it: everything but 0 and false is true. */
export function readBoolean(text: string | null): boolean {
  return text !== null && text !== '0' && text.toLowerCase() !== 'false';
}

/** @throws ApiError BadRequest when it is no whole number. */
function readSeconds(text: string | null): number {
  if (text === null || text === '') return 0;
  if (!/^-?\d{1,18}$/.test(text)) {
    throw new ApiError(
      'BadRequest',
      `timeoutSeconds: Invalid value: ${JSON.stringify(clip(text))}: must be a whole number of seconds`,
    );
  }
  return Math.min(Number(text), longestTimeoutSeconds);
}

/**
 * Reads a resourceVersion of a query.
 * @returns undefined when it is absent or empty.
 * @throws ApiError BadRequest when it is not a number.
 */
export function parseResourceVersion(text: string | null): bigint | undefined {
  if (text === null || text === '') return undefined;
  if (!/^\d{1,20}$/.test(text)) {
    throw new ApiError(
      'BadRequest',
      `resourceVersion: Invalid value: ${JSON.stringify(clip(text))}: must be a number that this API handed out`,
    );
  }
  return BigInt(text);
}

/** The 422 that Kubernetes sends for list options that contradict each other. */
export function invalidListOptions(causes: readonly StatusCause[]): ApiError {
  const text = causes.map(({ field, message }) => `${field}: ${message}`).join(', ');
  return new ApiError('Invalid', `ListOptions.meta.k8s.io "" is invalid: ${causes.length > 1 ? `[${text}]` : text}`, {
    details: { group: 'meta.k8s.io', kind: 'ListOptions', causes: [...causes] },
  });
}
