import { whenCaughtUp } from '../../apis/client/caught-up.ts';
import { Slices } from '../../apis/client/slices.ts';
import { ApiError, hasReason } from '../../apis/machinery/errors.ts';
import { type KubeList, keyOf } from '../../apis/machinery/meta.ts';
import { projectSession } from '../../apis/v1alpha1/projection.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { type Continuation, decodeContinuation, encodeContinuation } from './continue-token.ts';
import type { ListOptions } from './list-options.ts';

/** Sandboxes that are asked for at once: parsing an answer keeps everybody else waiting. */
const pageSize = 500;

/** In kube-apiserver's words (inconsistentContinue in k8s.io/apiserver/pkg/storage/etcd3/errors.go). */
const inconsistent =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.';

/** Asks kube-apiserver for one page of the Sandboxes that a list is about. */
export type ReadPage = (query: Record<string, string | undefined>) => Promise<KubeList<Sandbox>>;

/** What a list found, and where it goes on. */
export interface ListPage {
  items: Session[];
  resourceVersion: string;
  /** Set when there may be more. */
  continue: string | undefined;
}

/**
 * Lists sessions from pages of one snapshot of kube-apiserver's, up to the client's limit. What is selected here is looked for
 * on as many pages as it takes, as kube-apiserver does with what etcd cannot select.
 * @throws ApiError, `Expired` with a token that goes on at the newest version.
 */
export async function listPages(options: ListOptions, readPage: ReadPage): Promise<ListPage> {
  const { selection } = options;
  // kube-apiserver ignores the limit of whoever says that any version will do, also on a later page.
  const limit =
    options.resourceVersion === '0' ? Number.POSITIVE_INFINITY : (options.limit ?? Number.POSITIVE_INFINITY);
  const list = JSON.stringify([options.namespace, selection.text]);
  const items: Session[] = [];
  const slices = new Slices();
  let at = startOf(options, list);
  let query = firstQuery(options, at);
  let read = readPage;
  for (;;) {
    const size = selection.isUpstream ? Math.min(pageSize, limit - items.length) : pageSize;
    const page = await readOrGoOn({ ...query, limit: String(size) }, { readPage: read, at, list });
    const { resourceVersion = '0', continue: next = '' } = page.metadata;
    const more = (further: Continuation) => encodeContinuation(further, list);
    for (const [index, sandbox] of page.items.entries()) {
      if (slices.spent) await slices.rest();
      const key = keyOf(sandbox);
      if (at?.after !== undefined && key <= at.after) continue;
      const session = projectSession(sandbox);
      if (!selection.matches(session)) continue;
      items.push(session);
      const isLast = index === page.items.length - 1;
      if (items.length < limit || (isLast && next === '')) continue;
      const further: Continuation = isLast
        ? { upstream: next, version: undefined, after: undefined }
        : { upstream: at?.upstream, version: resourceVersion, after: key };
      return { items, resourceVersion, continue: more(further) };
    }
    if (next === '') return { items, resourceVersion, continue: undefined };
    at = { upstream: next, version: undefined, after: undefined };
    query = { continue: next };
    read = (further) => whenCaughtUp(() => readPage(further));
  }
}

function startOf(options: ListOptions, list: string): Continuation | undefined {
  if (options.continue === undefined) return undefined;
  const at = decodeContinuation(options.continue, list);
  const { resourceVersion } = options;
  if (at.upstream === options.continue || resourceVersion === undefined || resourceVersion === '0') return at;
  throw new ApiError('BadRequest', 'specifying resource version is not allowed when using continue');
}

function firstQuery(options: ListOptions, at: Continuation | undefined): Record<string, string | undefined> {
  if (at?.upstream !== undefined) return { continue: at.upstream };
  if (at !== undefined) {
    return at.version === undefined ? {} : { resourceVersion: at.version, resourceVersionMatch: 'Exact' };
  }
  const { resourceVersion, resourceVersionMatch, limit } = options;
  // A version with a limit would mean exactly that version, and here there is always a limit.
  const isLoose = resourceVersion !== undefined && limit === undefined;
  return { resourceVersion, resourceVersionMatch: resourceVersionMatch ?? (isLoose ? 'NotOlderThan' : undefined) };
}

/** An expired list can be gone on with, at another version: kube-apiserver's error says where, as does ours. */
async function readOrGoOn(
  query: Record<string, string | undefined>,
  { readPage, at, list }: { readPage: ReadPage; at: Continuation | undefined; list: string },
): Promise<KubeList<Sandbox>> {
  try {
    return await readPage(query);
  } catch (error) {
    if (!hasReason(error, 'Expired') || at === undefined) throw error;
    if (at.upstream !== undefined && error.continueToken === undefined) throw error;
    const further: Continuation = { upstream: error.continueToken, version: undefined, after: at.after };
    throw new ApiError('Expired', at.upstream === undefined ? inconsistent : error.message, {
      cause: error,
      continueToken: encodeContinuation(further, list),
      ...(error.details === undefined ? {} : { details: error.details }),
    });
  }
}
