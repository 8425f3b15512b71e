import { expect } from 'chai';
import { Agent } from 'undici';
import { AuditTail } from '../../hack/cluster/audit-tail.ts';
import { callerToken, readySession, sessionsPath } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';

const calls = 10_000;
const connections = 16;
/** How long a verdict of a review is kept. */
const verdictSeconds = 10;

describe('the hot path', () => {
  const env = useCluster();
  const space = env.namespace('hot');

  it(`asks kube-apiserver nothing in ${calls.toLocaleString('en')} calls but to review the caller anew and to note activity`, async () => {
    const token = await callerToken(env, space.name);
    await readySession(env, space.name, { name: 'box', runtime: 'py' });
    const agent = new Agent({ connections, pipelining: 1, connect: { ca: env.ca } });
    const get = async () => {
      const { statusCode, body } = await agent.request({
        origin: env.cluster.proxyUrl,
        path: `${sessionsPath(space.name)}/box/proxy/health`,
        method: 'GET',
        headers: { authorization: `Bearer ${token}` },
      });
      await body.dump();
      return statusCode;
    };
    const tail = await AuditTail.open(env.cluster.plane.dir);
    // A request of our own, so that everything before it has been written.
    const readUntilNow = async () => {
      const mark = `/api/v1/namespaces/${space.name}/configmaps/mark`;
      await env.client.requestRaw({ path: mark });
      return await tail.readUntil('the mark', ({ requestURI }) => requestURI === mark);
    };
    try {
      expect(await get()).to.equal(200);
      await readUntilNow();
      const begun = performance.now();
      let left = calls;
      const codes = new Map<number, number>();
      const worker = async () => {
        while (left > 0) {
          left -= 1;
          const code = await get();
          codes.set(code, (codes.get(code) ?? 0) + 1);
        }
      };
      await Promise.all(Array.from({ length: connections }, worker));
      const seconds = (performance.now() - begun) / 1000;
      expect([...codes]).to.deep.equal([[200, calls]]);

      const events = await readUntilNow();
      // Events of other suites' sessions come seconds after them.
      const ours = events.filter(
        ({ user, objectRef }) =>
          user.username === 'system:serviceaccount:sojourn-system:sojourn-proxy' &&
          (objectRef?.namespace === undefined || objectRef.namespace === space.name),
      );
      const counts: Record<string, number> = {};
      for (const { verb, objectRef } of ours) {
        // Watches end and begin by the clock, whoever calls.
        if (verb === 'watch') continue;
        const what = `${verb} ${objectRef?.resource}`;
        counts[what] = (counts[what] ?? 0) + 1;
      }
      const reviews = Math.ceil(seconds / verdictSeconds) + 1;
      const { 'create tokenreviews': tokens = 0, 'create subjectaccessreviews': access = 0, ...others } = counts;
      expect(tokens).to.be.at.most(reviews);
      expect(access).to.be.at.most(reviews);
      // Its creation is told a few seconds after it.
      const { 'patch sandboxes': flushes = 0, 'create events': told = 0, ...unexpected } = others;
      expect(flushes).to.be.at.most(2);
      expect(told).to.be.at.most(1);
      expect(unexpected).to.deep.equal({});
    } finally {
      await agent.destroy();
    }
  }).timeout(240_000);
});
