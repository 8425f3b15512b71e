import { expect } from 'chai';
import { Registry } from 'prom-client';
import { KubeClient } from '../../../apis/client/transport.ts';
import type { Session } from '../../../apis/v1alpha1/types.ts';
import type { Caller } from '../../../proxy/access/caller.ts';
import { InFlight } from '../../../proxy/invocation/limits.ts';
import { CallerSessions } from '../../../proxy/sessions/caller-sessions.ts';

describe('a creation beyond the limits of calls in flight', () => {
  it('is refused before kube-apiserver is asked, and counted', async () => {
    // Nothing listens there: a request would be another error.
    const client = new KubeClient({ server: 'https://127.0.0.1:1' });
    const inFlight = new InFlight({ total: 1, perUser: 1, perSession: 1 });
    const registry = new Registry();
    const sessions = new CallerSessions({ client, inFlight, registry });
    const caller: Caller = { user: { username: 'alice', groups: [] }, credential: { kind: 'asserted' } };
    const create = () => sessions.create(caller, 'ns', { kind: 'CodeInterpreter', name: 'py' }).catch((error) => error);
    inFlight.enter('alice', 'ns/box');
    expect(await create()).to.include({ reason: 'TooManyRequests', retryAfterSeconds: 1 });
    inFlight.leave('alice', 'ns/box');
    expect(await create()).to.include({ reason: 'ServiceUnavailable' });
    const counted = await registry.getSingleMetricAsString('sojourn_session_creations_total');
    expect(counted).to.contain('{start="None",code="429"} 1').and.to.contain('{start="None",code="503"} 1');
    await client.close();
  });

  it('counts the wait for its session among them', async () => {
    const client = new KubeClient({ server: 'https://127.0.0.1:1' });
    const inFlight = new InFlight({ total: 1, perUser: 1, perSession: 1 });
    const sessions = new CallerSessions({ client, inFlight, registry: new Registry() });
    const caller: Caller = { user: { username: 'alice', groups: [] }, credential: { kind: 'asserted' } };
    const session = { metadata: { namespace: 'ns', name: 'box' } } as Session;
    const { promise, resolve } = Promise.withResolvers<string>();
    const first = sessions.waiting(caller, session, () => promise);
    const second = await sessions.waiting(caller, session, async () => 'ready').catch((error) => error);
    expect(second).to.include({ reason: 'TooManyRequests' });
    resolve('ready');
    expect(await first).to.equal('ready');
    expect(await sessions.waiting(caller, session, async () => 'ready')).to.equal('ready');
    await client.close();
  });
});
