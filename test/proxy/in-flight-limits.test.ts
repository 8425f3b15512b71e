import { expect } from 'chai';
import fc from 'fast-check';
import { ApiError } from '../../apis/machinery/errors.ts';
import { InFlight } from '../../proxy/invocation/limits.ts';
import { useControlPlane, useNamespace } from '../support/control-plane.ts';
import { until } from '../support/until.ts';
import { Cleanup } from './support/cleanup.ts';
import { requestText, startGateway } from './support/gateway.ts';
import { codeOf, jsonOf, RawClient } from './support/raw-client.ts';
import { TestSessions } from './support/sessions.ts';
import { startUpstream } from './support/upstream.ts';

describe('in-flight limits', () => {
  const admitted = (limits: InFlight, user: string, session = 's'): boolean => {
    try {
      limits.enter(user, session);
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.reason === 'TooManyRequests') return false;
      throw error;
    }
  };
  const fill = (limits: InFlight, user: string, calls: number): number => {
    let entered = 0;
    for (let i = 0; i < calls; i += 1) if (admitted(limits, user, `${user}-${i}`)) entered += 1;
    return entered;
  };

  it('leave room for others beside a user who takes all they can', () => {
    const limits = new InFlight({ total: 100, perUser: 1000, perSession: 1000 });
    expect(fill(limits, 'greedy', 1000)).to.equal(100);
    for (let i = 0; i < 30; i += 1) limits.leave('greedy', `greedy-${i}`);
    expect(fill(limits, 'modest', 20)).to.equal(20);
    // From here on the greedy one has more than an equal share, and the modest one has not.
    expect(admitted(limits, 'greedy')).to.equal(false);
    expect(admitted(limits, 'modest')).to.equal(true);
  });

  it('are given back, whatever the order of calls and ends', () => {
    const call = fc.record({ user: fc.constantFrom('a', 'b', 'c'), session: fc.constantFrom('x', 'y') });
    fc.assert(
      fc.property(fc.array(call, { maxLength: 60 }), (calls) => {
        const limits = new InFlight({ total: 10, perUser: 6, perSession: 7 });
        const inside = calls.filter(({ user, session }) => admitted(limits, user, session));
        expect(inside.length).to.be.at.most(10);
        for (const { user, session } of inside) limits.leave(user, session);
        expect(fill(limits, 'a', 10)).to.equal(6);
      }),
    );
  });

  describe('of a proxy', () => {
    const plane = useControlPlane();
    const namespace = useNamespace(plane);
    const cleanup = new Cleanup();

    it('refuse with 429, when to try again and which limit it was, and free the place at the end of a call', async () => {
      /** What answers the calls that are in the sandbox, by their paths: they come over connections of their own, in any order. */
      const waiting = new Map<string | undefined, () => void>();
      const upstream = cleanup.add(
        await startUpstream(({ url }, response) => waiting.set(url, () => response.end('done'))),
      );
      const sessions = new TestSessions(plane.client, () => namespace.name);
      await sessions.create({ name: 's', endpoints: [{ pathPrefix: '/', port: upstream.port, protocol: 'HTTP' }] });
      await sessions.makeReady('s');
      const limits = { total: 10, perUser: 10, perSession: 2 };
      const gateway = cleanup.add(await startGateway({ client: plane.client, settings: { limits } }));
      const hold = async (target: string) => {
        const client = cleanup.close(await RawClient.connect(gateway.port));
        client.send(requestText(namespace.name, 's', { target }));
        return client;
      };
      const first = await hold('/first');
      await hold('/second');
      await until('both calls to be in flight', () => waiting.size === 2);

      const refused = await gateway.call(namespace.name, 's');
      expect(codeOf(refused)).to.equal(429);
      expect(refused).to.match(/\r\nretry-after: 1\r\n/i);
      expect(jsonOf(refused)).to.deep.include({ reason: 'TooManyRequests', code: 429 });
      expect(jsonOf<{ message: string }>(refused).message).to.contain('the limit of this session is 2');

      waiting.get('/first')?.();
      await first.over();
      expect(first.text).to.match(/done$/);
      const next = gateway.call(namespace.name, 's', { target: '/next' });
      await until('the next call to get through', () => waiting.size === 3);
      for (const answer of waiting.values()) answer();
      expect(codeOf(await next)).to.equal(200);
    });
  });
});
