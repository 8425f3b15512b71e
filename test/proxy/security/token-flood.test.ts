import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { hasReason } from '../../../apis/machinery/errors.ts';
import { TokenAuthenticator } from '../../../proxy/access/authenticate.ts';
import { Authorizer } from '../../../proxy/access/authorize.ts';
import { FairQueue } from '../../../proxy/access/fair-queue.ts';
import { useControlPlane, useNamespace } from '../../support/control-plane.ts';

/** A little longer than an accepted token is not reviewed again. */
const forgottenMs = 9_100;

describe('a flood of made-up tokens', () => {
  const plane = useControlPlane();
  const namespace = useNamespace(plane);

  async function tokenOf(account: string): Promise<string> {
    await plane.kubectl(['create', 'serviceaccount', account, '-n', namespace.name]);
    return (await plane.kubectl(['create', 'token', account, '-n', namespace.name])).stdout.trim();
  }

  it('keeps neither a known user from calling nor a new one from elsewhere, and is refused where it is too much', async () => {
    const [known, fresh] = await Promise.all([tokenOf('known'), tokenOf('fresh')]);
    const tokens = new TokenAuthenticator({ client: plane.client });
    await tokens.authenticate(known, '10.0.0.9');
    await delay(forgottenMs);
    const ends = { Unauthorized: 0, TooManyRequests: 0 };
    const flood = Array.from({ length: 1000 }, async (_, index) => {
      try {
        await tokens.authenticate(`made-up-${index}`, '10.0.0.66');
      } catch (error) {
        if (hasReason(error, 'TooManyRequests')) ends.TooManyRequests += 1;
        else if (hasReason(error, 'Unauthorized')) ends.Unauthorized += 1;
        else throw error;
      }
    });
    // From the flood's own address, as behind a load balancer.
    const again = await tokens.authenticate(known, '10.0.0.66');
    expect(again.user.username).to.contain(':known');
    const reviewedBefore = ends.Unauthorized;
    const first = await tokens.authenticate(fresh, '10.0.0.7');
    expect(first.user.username).to.contain(':fresh');
    const waited = ends.Unauthorized - reviewedBefore;
    await Promise.all(flood);
    expect(ends).to.deep.equal({ Unauthorized: 16 + 256, TooManyRequests: 1000 - 16 - 256 });
    // A place that came free in the meantime, and not the end of the flood's queue.
    expect(waited).to.be.lessThan(100);
  });

  it('of questions about rights delays its own user', async () => {
    const authorizer = new Authorizer(plane.client);
    const attributes = { verb: 'get', group: 'sojourn.dev', version: 'v1alpha1', resource: 'sessions', namespace: 'x' };
    let answered = 0;
    const flood = Array.from({ length: 1000 }, async (_, index) => {
      const question = authorizer.authorize({ username: 'mallory', groups: [] }, { ...attributes, name: `n-${index}` });
      expect(hasReason(await question.catch((error: unknown) => error), 'Forbidden')).to.equal(true);
      answered += 1;
    });
    await authorizer.authorize({ username: 'root', groups: ['system:masters'] }, attributes);
    expect(answered).to.be.lessThan(500);
    await Promise.all(flood);
    expect(answered).to.equal(1000);
  });

  it('takes turns with what other sources bring', async () => {
    const queue = new FairQueue({ mostAtOnce: 1, mostWaitingOfSource: 10, mostWaiting: 12, refusal: 'no' });
    const order: string[] = [];
    const act = (source: string) => queue.run(source, async () => void order.push(source));
    await Promise.all(['a', 'a', 'a', 'a', 'b', 'c', 'b'].map(act));
    expect(order.join('')).to.equal('aabcaba');
    const { promise, resolve } = Promise.withResolvers<void>();
    const blocked = queue.run('a', () => promise);
    const waiting = [...Array.from({ length: 10 }, () => act('a')), act('b'), act('c')];
    for (const source of ['a', 'd']) {
      const error: unknown = await act(source).catch((thrown: unknown) => thrown);
      expect(hasReason(error, 'TooManyRequests')).to.equal(true);
    }
    resolve();
    await Promise.all([blocked, ...waiting]);
    await act('a');
    expect(order).to.have.length(7 + 12 + 1);
  });

  it('does not lose a place to what fails', async () => {
    const queue = new FairQueue({ mostAtOnce: 1, mostWaitingOfSource: 1, mostWaiting: 1, refusal: 'no' });
    const failure = queue.run('a', async () => {
      throw new Error('broken');
    });
    expect(await failure.catch((error: Error) => error.message)).to.equal('broken');
    expect(await queue.run('a', async () => 'next')).to.equal('next');
  });
});
