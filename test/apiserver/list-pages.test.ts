import { expect } from 'chai';
import { ApiError, hasReason } from '../../apis/machinery/errors.ts';
import type { KubeList } from '../../apis/machinery/meta.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { ListOptions } from '../../apiserver/sessions/list-options.ts';
import { type ListPage, listPages, type ReadPage } from '../../apiserver/sessions/list-pages.ts';
import { decodeListQuery } from '../../apiserver/sessions/list-query.ts';
import { selectionOf } from '../../apiserver/sessions/selection.ts';

const count = 1234;
const expired = new ApiError('Expired', 'The provided continue parameter is too old');

/** Sandboxes whose documents are broken, so that every phase is Failed. */
const sandboxes: Sandbox[] = Array.from({ length: count }, (_, index) => ({
  metadata: { name: `s${String(index).padStart(5, '0')}`, namespace: 'ns', resourceVersion: String(index) },
}));

/** Pages of them as kube-apiserver has them: a token is where to go on. */
function pagesOf(seen: Record<string, string | undefined>[] = []): ReadPage {
  return async (query) => {
    seen.push(query);
    const start = Number(query.continue ?? 0);
    const end = start + Number(query.limit);
    const metadata = { resourceVersion: '42', continue: end < count ? String(end) : '' };
    return { metadata, items: sandboxes.slice(start, end) } satisfies KubeList<Sandbox>;
  };
}

function options(query: string, more: Partial<ListOptions> = {}): ListOptions {
  const decoded = decodeListQuery(new URLSearchParams(query));
  return {
    namespace: 'ns',
    selection: selectionOf(decoded, undefined),
    limit: decoded.limit > 0n ? Number(decoded.limit) : undefined,
    continue: undefined,
    resourceVersion: undefined,
    resourceVersionMatch: undefined,
    ...more,
  };
}

const names = ({ items }: ListPage) => items.map(({ metadata }) => metadata.name);
const all = sandboxes.map(({ metadata }) => metadata.name);

describe('pages of sessions', () => {
  it('are all of one list, whatever the limit', async () => {
    for (const limit of [0, 100, 617, 1233, 1234, 5000]) {
      const found: (string | undefined)[] = [];
      let next: string | undefined;
      do {
        const page = await listPages(options(`limit=${limit}`, { continue: next }), pagesOf());
        if (page.continue !== undefined) expect(page.items.length).to.equal(limit);
        expect(page.resourceVersion).to.equal('42');
        found.push(...names(page));
        next = page.continue;
      } while (next !== undefined);
      expect(found).to.deep.equal(all);
    }
  });

  it('are full of what is selected here, though it lies far apart', async () => {
    const rare = all.filter((_, index) => index % 100 === 99);
    const { selection, ...others } = options('fieldSelector=status.phase=Failed&limit=5');
    const few = {
      ...others,
      selection: { ...selection, matches: ({ metadata }: Session) => /99$/.test(metadata.name ?? '') },
    };
    const found: (string | undefined)[] = [];
    let next: string | undefined;
    do {
      const page = await listPages({ ...few, continue: next }, pagesOf());
      if (page.continue !== undefined) expect(page.items.length).to.equal(5);
      found.push(...names(page));
      next = page.continue;
    } while (next !== undefined);
    expect(found).to.deep.equal(rare);
  });

  it('read the first page of Sandboxes again at the version of the list', async () => {
    const query = 'fieldSelector=status.phase=Failed&limit=3';
    const first = await listPages(options(query), pagesOf());
    const seen: Record<string, string | undefined>[] = [];
    const second = await listPages(options(query, { continue: first.continue }), pagesOf(seen));
    expect(names(second)).to.deep.equal(all.slice(3, 6));
    expect(seen).to.deep.equal([{ resourceVersion: '42', resourceVersionMatch: 'Exact', limit: '500' }]);
  });

  it('can be gone on with when the list has expired, at the newest version', async () => {
    const query = 'fieldSelector=status.phase=Failed&limit=3';
    const first = await listPages(options(query), pagesOf());
    const refusal = await listPages(options(query, { continue: first.continue }), () => Promise.reject(expired)).catch(
      (error: unknown) => error,
    );
    if (!hasReason(refusal, 'Expired')) throw refusal;
    expect(refusal.message).to.match(/use the continue token in this response to retrieve the remainder/);
    const seen: Record<string, string | undefined>[] = [];
    const rest = await listPages(options(query, { continue: refusal.continueToken }), pagesOf(seen));
    expect(names(rest)).to.deep.equal(all.slice(3, 6));
    expect(seen).to.deep.equal([{ limit: '500' }]);
  });

  it('pass on where kube-apiserver would go on with an expired list', async () => {
    const first = await listPages(options('limit=100'), pagesOf());
    const upstream = new ApiError('Expired', expired.message, { continueToken: '100' });
    const refusal = await listPages(options('limit=100', { continue: first.continue }), () =>
      Promise.reject(upstream),
    ).catch((error: unknown) => error);
    if (!hasReason(refusal, 'Expired')) throw refusal;
    expect(refusal.toStatus().metadata.continue).to.equal(refusal.continueToken);
    const rest = await listPages(options('limit=100', { continue: refusal.continueToken }), pagesOf());
    expect(names(rest)).to.deep.equal(all.slice(100, 200));
  });

  it('are read again when kube-apiserver’s cache has not come to the version of the first one', async () => {
    const behind = new ApiError('Timeout', 'Too large resource version: 42, current: 7', {
      details: { causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }] },
      retryAfterSeconds: 0,
    });
    const read = pagesOf();
    let refusals = 0;
    const page = await listPages(options(''), async (query) => {
      if (query.continue === undefined || refusals === 3) return await read(query);
      refusals += 1;
      throw behind;
    });
    expect(names(page)).to.deep.equal(all);
    expect(refusals).to.equal(3);
    // A version that a client names may never come.
    const refusal = await listPages(options('', { resourceVersion: '42' }), () => Promise.reject(behind)).catch(
      (error: unknown) => error,
    );
    expect(refusal).to.equal(behind);
  });

  it('go on with no other selector', async () => {
    const first = await listPages(options('limit=100'), pagesOf());
    const other = options('limit=100&labelSelector=a', { continue: first.continue });
    const refusal = await listPages(other, pagesOf()).catch((error: unknown) => error);
    expect(refusal).to.have.property('code', 400);
  });
});
