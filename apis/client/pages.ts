import type { KubeList, KubeObject } from '../machinery/meta.ts';
import { whenCaughtUp } from './caught-up.ts';
import { type KubeClient, type KubeRequest, parseAnswer } from './transport.ts';

/** Page sizes: what kubectl and client-go ask for at most, and what one page costs little more than. */
const largestPage = 500;
const smallestPage = 25;
/** Parsing a page cannot be interrupted, so pages are as large as can be parsed in about so long. */
const parseMs = 6;

/** One page of a list; the resourceVersion is the same on all of them. */
export interface Page<T> {
  items: T[];
  resourceVersion: string;
}

/**
 * Lists a collection page by page, in pages so large that parsing one keeps nobody else waiting for long.
 * @throws ApiError; `Expired` when the list took longer than kube-apiserver remembers.
 */
export async function* listPages<T extends KubeObject>(
  client: KubeClient,
  { query, ...request }: Pick<KubeRequest, 'path' | 'query' | 'signal'>,
): AsyncGenerator<Page<T>> {
  const { resourceVersion: _first, resourceVersionMatch: _match, ...further } = query ?? {};
  let limit = smallestPage * 4;
  let next: string | undefined;
  do {
    // A continue token says which version it goes on with; naming one beside it is an error.
    const selected = next === undefined ? query : { ...further, continue: next };
    const readPage = async () => {
      const response = await client.requestRaw({ ...request, query: { ...selected, limit: String(limit) } });
      const begun = performance.now();
      return { page: parseAnswer<KubeList<T>>(response), tookMs: performance.now() - begun };
    };
    const { page, tookMs } = next === undefined ? await readPage() : await whenCaughtUp(readPage, request.signal);
    limit = nextLimit(limit, { items: page.items.length, tookMs });
    next = page.metadata.continue;
    yield { items: page.items, resourceVersion: page.metadata.resourceVersion ?? '0' };
  } while (next !== undefined && next !== '');
}

/** Half a step towards what would have taken the right time: one page may have met a collection of garbage. */
function nextLimit(limit: number, { items, tookMs }: { items: number; tookMs: number }): number {
  if (items === 0) return limit;
  const fitting = (items * parseMs) / Math.max(tookMs, 0.1);
  return Math.round(Math.min(largestPage, Math.max(smallestPage, (limit + fitting) / 2)));
}
