import { readResourceVersion } from '../../apis/machinery/query-values.ts';
import type { ResourceRequest } from '../http/request-info.ts';
import { completeWatch, decodeListQuery } from '../sessions/list-query.ts';
import { type Selection, selectionOf } from '../sessions/selection.ts';

/** What a watch request asks for besides its selection and format. */
export interface WatchOptions {
  /** Undefined: as fresh as kube-apiserver; 0: any. */
  resourceVersion: bigint | undefined;
  /**
   * The state first, then a marked bookmark if there are any (KEP-3157). A watch that says nothing about it and names no
   * version, or 0, is one as well (SetListOptionsDefaults in k8s.io/apimachinery/pkg/apis/meta/internalversion). False without
   * a version: only what happens from now on.
   */
  sendInitialEvents: boolean;
  bookmarks: boolean;
  /** Seconds after which the watch ends by itself; negative: it is over before it began. */
  timeoutSeconds: number;
}

/** The shortest of the random lives of a watch whose client names none (k8s.io/apiserver, MinRequestTimeout). */
const minTimeoutSeconds = 1800;
/** What a timer of Node can wait, 2^31 ms, and then some less. */
const longestTimeoutSeconds = 2_000_000;

/**
 * Reads and validates the options of a watch.
 * @throws ApiError BadRequest or Invalid.
 */
export function readWatchOptions({ query, name }: ResourceRequest): { watch: WatchOptions; selection: Selection } {
  const decoded = completeWatch(decodeListQuery(query));
  const selection = selectionOf(decoded, name);
  const timeout = Number(decoded.timeoutSeconds ?? 0n);
  return {
    selection,
    watch: {
      resourceVersion: readResourceVersion(decoded.resourceVersion),
      sendInitialEvents: decoded.sendInitialEvents ?? false,
      bookmarks: decoded.allowWatchBookmarks,
      timeoutSeconds:
        timeout === 0 ? minTimeoutSeconds * (1 + Math.random()) : Math.min(timeout, longestTimeoutSeconds),
    },
  };
}
