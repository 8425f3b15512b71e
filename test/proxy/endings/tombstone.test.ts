import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { Status } from '../../../apis/machinery/meta.ts';
import type { Session } from '../../../apis/v1alpha1/types.ts';
import { AuditTail } from '../../../hack/cluster/audit-tail.ts';
import { createSession, sessionsPath } from '../../support/caller.ts';
import { useCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';
import { type Accounts, AgentCubeClients, jsonOf, sessionIdOf } from '../agentcube/clients.ts';
import { Cleanup } from '../support/cleanup.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { codeOf, exchange, jsonOf as jsonOfRaw } from '../support/raw-client.ts';

describe('a call for a session that has ended', () => {
  const env = useCluster();
  const space = env.namespace('tombstones');
  const elsewhere = env.namespace('elsewhere');
  const cleanup = new Cleanup();
  const clients = new AgentCubeClients(env, () => space.name);
  const collection = (namespace = space.name) => sessionsPath(namespace);
  let tokens: Accounts;
  let gone: Session;

  async function create(name: string): Promise<Session> {
    return await createSession(env, space.name, { name, runtime: 'none' });
  }

  async function end(session: Session): Promise<void> {
    const { name, uid } = session.metadata;
    await env.client.request({ method: 'DELETE', path: `${collection()}/${name}` });
    const path = `/api/v1/namespaces/${space.name}/events/${name}.${uid?.slice(0, 8)}.ended`;
    await until('the tombstone', async () => (await env.client.requestRaw({ path })).status === 200);
  }

  /** A proxy that has seen nothing of what was before. */
  async function newcomer(): Promise<TestGateway> {
    return cleanup.add(await startGateway({ client: env.asAccount('sojourn-proxy') }));
  }

  function agentcube(
    gateway: TestGateway,
    id: string,
    { runtime = 'none', namespace = space.name } = {},
  ): Promise<string> {
    const path = `/v1/namespaces/${namespace}/code-interpreters/${runtime}/invocations/x`;
    const lines = ['Host: proxy', 'Connection: close', `x-agentcube-session-id: ${id}`];
    return exchange(gateway.port, `GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
  }

  before(async function () {
    this.timeout(60_000);
    tokens = await clients.accounts();
    gone = await create('gone');
    await end(gone);
    await until('the proxy to have seen it go', async () => {
      const { status } = await clients.call(`${collection()}/gone/proxy/x`, { token: tokens.owner });
      return status === 404 || status === 410;
    });
  });

  it('is 410 with reason and time, at the proxy and through kube-apiserver, while the resource is 404', async () => {
    const path = `${collection()}/gone`;
    const answer = await clients.call(`${path}/proxy/x`, { token: tokens.owner });
    expect(answer.status, answer.text).to.equal(410);
    const status = jsonOf(answer) as unknown as Status;
    expect(status).to.include({ kind: 'Status', reason: 'Gone' });
    expect(status.message).to.match(
      /^the session ended at \d{4}-\d\d-\d\dT[\d:]+Z because it was deleted by .+ \(Deleted\); create a new one$/,
    );
    expect(status.details).to.include({ name: 'gone', uid: gone.metadata.uid, kind: 'sessions' });
    expect(status.details?.causes?.[0]?.reason).to.equal('Deleted');
    const aggregated = await env.client.requestRaw({ path: `${path}/proxy/x` });
    expect(aggregated.status).to.equal(410);
    expect((await env.client.requestRaw({ path })).status).to.equal(404);
  });

  it('is 410 by AgentCube’s route, in its words', async () => {
    const path = `${clients.invocations('code-interpreters', 'none')}/x`;
    const answer = await clients.call(path, { token: tokens.owner, sessionId: gone.metadata.uid ?? '' });
    expect(answer.status, answer.text).to.equal(410);
    expect(jsonOf(answer)).to.include({ code: 'Gone' });
    expect(jsonOf(answer).error).to.match(/^the session ended at /);
    expect(sessionIdOf(answer)).to.equal(gone.metadata.uid);
  });

  it('is known to a process that has not seen it, by name and by id, from the Event', async () => {
    const gateway = await newcomer();
    const native = await gateway.call(space.name, 'gone');
    expect(codeOf(native), native).to.equal(410);
    expect(jsonOfRaw<Status>(native).message).to.contain('it was deleted by ');
    const id = gone.metadata.uid ?? '';
    expect(codeOf(await agentcube(gateway, id))).to.equal(410);
    expect(codeOf(await agentcube(gateway, id, { runtime: 'py' })), 'of another runtime').to.equal(404);
    expect(codeOf(await agentcube(gateway, id, { namespace: elsewhere.name })), 'of another namespace').to.equal(404);
    expect(codeOf(await gateway.call(elsewhere.name, 'gone')), 'by name in another namespace').to.equal(404);
  });

  it('tells nobody who may not call the session', async () => {
    const sessionId = gone.metadata.uid ?? '';
    const native = await clients.call(`${collection()}/gone/proxy/x`, { token: tokens.stranger });
    const other = await clients.call(`${collection()}/never/proxy/x`, { token: tokens.stranger });
    expect([native.status, other.status]).to.deep.equal([403, 403]);
    const path = `${clients.invocations('code-interpreters', 'none')}/x`;
    expect((await clients.call(path, { token: tokens.stranger, sessionId })).status).to.equal(403);
  });

  it('goes to the session that has the name now', async () => {
    const first = await create('again');
    await end(first);
    const second = await create('again');
    const gateway = await newcomer();
    for (const port of ['newcomer', 'witness']) {
      const answer =
        port === 'newcomer'
          ? codeOf(await gateway.call(space.name, 'again'))
          : (await clients.call(`${collection()}/again/proxy/x`, { token: tokens.owner })).status;
      expect(answer, port).not.to.be.oneOf([404, 410]);
    }
    await end(second);
    // Until the end of the second one is known here, that of the first is the last one that is.
    await until('the answer to be about the last one', async () => {
      const answer = await clients.call(`${collection()}/again/proxy/x`, { token: tokens.owner });
      return (jsonOf(answer) as unknown as Status).details?.uid === second.metadata.uid;
    });
  });

  it('is 404 for names and ids that never were, and kube-apiserver is asked little for them', async function () {
    this.timeout(60_000);
    const gateway = await newcomer();
    const tail = await AuditTail.open(env.cluster.plane.dir);
    const begun = performance.now();
    for (let round = 0; round < 10; round += 1) {
      const calls = Array.from({ length: 20 }, (_, at) => gateway.call(space.name, `never-${round}-${at}`));
      for (const answer of await Promise.all(calls)) expect(codeOf(answer)).to.equal(404);
    }
    for (let round = 0; round < 20; round += 1) expect(codeOf(await gateway.call(space.name, 'same'))).to.equal(404);
    expect(codeOf(await agentcube(gateway, randomUUID()))).to.equal(404);
    const seconds = (performance.now() - begun) / 1000;
    const mark = `/api/v1/namespaces/${space.name}`;
    await env.client.request({ path: mark, query: { pretty: 'never' } });
    const seen = await tail.readUntil('the mark', ({ requestURI }) => requestURI === `${mark}?pretty=never`);
    const lists = seen.filter(({ verb, objectRef }) => verb === 'list' && objectRef?.resource === 'events');
    expect(lists.length).to.be.within(1, 51 + 10 * seconds);
    const same = lists.filter(({ requestURI }) => requestURI.includes('same'));
    expect(same.length, 'of the one name').to.be.at.most(1 + seconds / 5);
  });

  it('is not moved by an Event that somebody else has written, but from 404 to 410', async () => {
    const forged = (name: string, message: string, eventName = `${name}.forged`) =>
      env.client.request({
        method: 'POST',
        path: `/api/v1/namespaces/${space.name}/events`,
        body: {
          metadata: { name: eventName },
          involvedObject: { apiVersion: 'sojourn.dev/v1alpha1', kind: 'Session', namespace: space.name, name },
          reason: 'SessionEnded',
          message,
          type: 'Normal',
          firstTimestamp: '2026-11-21T06:30:00Z',
        },
      });
    await forged('phantom', 'IdleTimeout: it was never there');
    await forged('nonsense', 'whatever');
    await forged('endless', `IdleTimeout: ${'x'.repeat(500_000)}`);
    await create('alive');
    await forged('alive', 'IdleTimeout: it is dead');
    const gateway = await newcomer();
    expect(codeOf(await gateway.call(space.name, 'phantom'))).to.equal(410);
    expect(codeOf(await gateway.call(space.name, 'nonsense'))).to.equal(404);
    const endless = await gateway.call(space.name, 'endless');
    expect(codeOf(endless)).to.equal(410);
    expect(endless.length).to.be.lessThan(8_000);
    expect(codeOf(await gateway.call(space.name, 'alive'))).not.to.be.oneOf([404, 410]);
    // More than is read of one list: 410 cannot be told, and what is not known is 404.
    for (let number = 0; number < 5; number += 1) {
      await forged('flood', `IdleTimeout: ${'x'.repeat(1_000_000)}`, `flood.${number}`);
    }
    expect(codeOf(await gateway.call(space.name, 'flood'))).to.equal(404);
  });
});
