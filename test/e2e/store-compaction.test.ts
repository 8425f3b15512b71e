import { expect } from 'chai';
import { loadClusterConfig } from '../../apis/client/kubeconfig.ts';
import { differencesBetween } from '../apiserver/differential/support/differences.ts';
import { Normalizer } from '../apiserver/differential/support/normalize.ts';
import { json, mergePatch } from '../apiserver/differential/support/requests.ts';
import { Side, type SideName } from '../apiserver/differential/support/side.ts';
import { useTwin } from '../apiserver/differential/support/twin.ts';
import { Wire, type WireAnswer } from '../apiserver/differential/support/wire.ts';
import { useCluster } from '../support/cluster.ts';
import { compactEtcd } from '../support/etcd.ts';
import { until } from '../support/until.ts';
import { restartKubeApiserver } from './support/kube-apiserver.ts';

const sides = ['session', 'twin'] as const;
const isPhase = 'fieldSelector=status.phase!%3DReady';

/** A list, an error, or an event with one. */
interface Document {
  code?: number;
  reason?: string;
  message?: string;
  metadata?: { resourceVersion?: string; continue?: string };
  items?: { metadata: { name: string } }[];
  object?: Document;
}

/** Where somebody was before etcd forgot it. */
interface Past {
  version: string;
  /** After the first two objects. */
  token: string;
  /** After the first object that is in a phase, which is selected by here and not by kube-apiserver. */
  phaseToken: string;
}

describe('when nobody remembers what was, for etcd has been compacted', () => {
  const env = useCluster();
  useTwin(env);
  const space = env.namespace('compaction');
  const past = {} as Record<SideName, Past>;
  let wire: Wire;

  const sideOf = (name: SideName) => new Side(name, { namespace: space.name, name: 'c0' });
  const get = async (path: string) => await wire.send({ method: 'GET', path });
  const list = async (side: Side, query: string) => await get(`${side.collection}?${query}`);
  const read = ({ text }: WireAnswer) => JSON.parse(text) as Document;
  const tokenOf = (answer: WireAnswer) => encodeURIComponent(read(answer).metadata?.continue ?? '');

  async function create(side: Side, name: string): Promise<void> {
    const body = side.manifest({ metadata: { name } });
    const made = await wire.send({ method: 'POST', path: side.collection, headers: json, body });
    expect(made.status, made.text).to.equal(201);
  }

  /** Nobody writes of them any more, or a rest would have other versions than the list. */
  async function areAtRest(side: Side): Promise<void> {
    let last: string | undefined;
    await until('the sessions to be at rest', async () => {
      const seen = (await list(side, '')).text.replace(/^.*?"items"/s, '');
      const isSame = seen === last;
      last = seen;
      return isSame && !seen.includes('"phase":"Pending"');
    });
  }

  before(async function () {
    this.timeout(240_000);
    wire = new Wire(await loadClusterConfig(env.cluster.plane.kubeconfigs.admin));
    for (const name of sides) {
      const side = sideOf(name);
      for (let index = 0; index < 6; index += 1) await create(side, `c${index}`);
      await areAtRest(side);
      const page = await list(side, 'limit=2');
      past[name] = {
        version: read(page).metadata?.resourceVersion ?? '',
        token: tokenOf(page),
        phaseToken: tokenOf(await list(side, `limit=1&${isPhase}`)),
      };
    }
    for (const name of sides) {
      const side = sideOf(name);
      const body = '{"metadata":{"labels":{"changed":"yes"}}}';
      await wire.send({ method: 'PATCH', path: side.item('c4'), headers: mergePatch, body });
      await wire.send({ method: 'DELETE', path: side.item('c5') });
      await create(side, 'c6');
      await areAtRest(side);
    }
    await compactEtcd(env.cluster.plane);
    // Both servers could tell what was from their own memories.
    await restartKubeApiserver(env, async () => undefined);
    await env.kill('sojourn-apiserver');
    await env.cluster.sojourn.startApiserver();
    // What is asked of the new memories must not come before them.
    for (const name of sides) {
      const watch = 'watch=true&resourceVersion=0&timeoutSeconds=1';
      const isWatched = async () => (await list(sideOf(name), watch)).text.startsWith('{"type":"ADDED"');
      await until(`the ${name} to be served from memory`, isWatched);
    }
  });
  after(async () => {
    await wire.close();
  });

  /** What the sessions' side answers to so many requests for `path?query`, which must be as the other side does. */
  async function answers(target: (side: Side, from: Past, last: WireAnswer | undefined) => string, count = 1) {
    const told = { session: [] as Document[], twin: [] as Document[] };
    const normal = { session: [] as unknown[], twin: [] as unknown[] };
    for (const name of sides) {
      const side = sideOf(name);
      const normalizer = new Normalizer(side, { managedFields: 'ignore' });
      let last: WireAnswer | undefined;
      for (let index = 0; index < count; index += 1) {
        last = await get(target(side, past[name], last));
        const document = read(last);
        told[name].push(document);
        normal[name].push(normalizer.answer({ ...last, text: withoutTokens(last.text) }));
      }
    }
    expect(differencesBetween(normal.session, normal.twin).join('\n')).to.equal('');
    return told.session;
  }

  const names = (document: Document | undefined) => document?.items?.map(({ metadata }) => metadata.name);

  for (const [what, limit] of Object.entries({ 'all at once': 500, 'in pages of one': 1 })) {
    it(`a continue token is refused with one that goes on with the rest as it is now, ${what}`, async () => {
      const [expired, ...pages] = await answers(
        (side, { token }, last) =>
          `${side.collection}?limit=${limit}&continue=${last === undefined ? token : tokenOf(last)}`,
        limit === 1 ? 5 : 2,
      );
      expect(expired).to.include({ code: 410, reason: 'Expired' });
      expect(expired?.message).to.contain('use the continue token in this response');
      expect(pages.flatMap((page) => names(page))).to.deep.equal(['c2', 'c3', 'c4', 'c6']);
    });
  }

  it('so is the token of a list by phase', async () => {
    const [expired, rest] = await answers(
      (side, { phaseToken }, last) =>
        `${side.collection}?${isPhase}&continue=${last === undefined ? phaseToken : tokenOf(last)}`,
      2,
    );
    expect(expired).to.include({ code: 410, reason: 'Expired' });
    expect(names(rest)).to.deep.equal(['c1', 'c2', 'c3', 'c4', 'c6']);
  });

  for (const query of ['resourceVersionMatch=Exact', 'resourceVersionMatch=Exact&limit=1', 'limit=1']) {
    it(`a list of exactly that version is refused (${query})`, async () => {
      const [expired] = await answers(
        ({ collection }, { version }) => `${collection}?resourceVersion=${version}&${query}`,
      );
      expect(expired).to.include({ code: 410, reason: 'Expired' });
      expect(expired?.metadata?.continue).to.equal(undefined);
    });
  }

  it('what may be newer is answered, and a single object always may', async () => {
    const exactly = 'resourceVersionMatch=Exact';
    const [one] = await answers((side, { version }) => `${side.item()}?resourceVersion=${version}&${exactly}`);
    expect(one).to.include({ kind: 'Session' });
    const [newer] = await answers(({ collection }, { version }) => `${collection}?resourceVersion=${version}`);
    expect(names(newer)).to.deep.equal(['c0', 'c1', 'c2', 'c3', 'c4', 'c6']);
  });

  it('a watch from there is sent an error, and nothing else', async () => {
    const [event] = await answers(
      ({ collection }, { version }) => `${collection}?watch=true&timeoutSeconds=2&resourceVersion=${version}`,
    );
    expect(event?.object).to.include({ code: 410, reason: 'Expired' });
  });
});

/** Tokens are each side's own, and a refusal tells versions that nobody has named. */
function withoutTokens(text: string): string {
  return text
    .replace(/"continue":"[^"]+"/g, '"continue":"TOKEN"')
    .replace(/too old resource version: \d+ \(\d+\)/, 'too old resource version');
}
