import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { Registry } from 'prom-client';
import type { Status } from '../../apis/machinery/meta.ts';
import { createLog } from '../../apis/runtime/log.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { createRuntime } from '../../hack/cluster/runtimes.ts';
import { openAccess } from '../../proxy/access/access.ts';
import { type Caller, onBehalfOf, onBehalfOfHeader } from '../../proxy/access/caller.ts';
import type { UserInfo } from '../../proxy/access/user.ts';
import { defaultLimits, InFlight } from '../../proxy/invocation/limits.ts';
import { CallerSessions } from '../../proxy/sessions/caller-sessions.ts';
import { useCluster } from '../support/cluster.ts';
import { type Answer, https } from '../support/http.ts';

const collection = '/apis/sojourn.dev/v1alpha1/namespaces/default/sessions';
const proxyAccount = 'system:serviceaccount:sojourn-system:sojourn-proxy';
const body = {
  apiVersion: 'sojourn.dev/v1alpha1',
  kind: 'Session',
  metadata: { generateName: 'asserted-' },
  spec: { runtimeRef: { kind: 'CodeInterpreter' as const, name: 'asserted' } },
};
const alice: UserInfo = { username: 'alice', groups: ['sojourn-users'] };
const bob: UserInfo = { username: 'bob', groups: ['sojourn-users'] };

describe('an assertion of another user', () => {
  const env = useCluster();

  before(async () => {
    const template = { image: 'local/none' };
    await createRuntime(env.client, 'default', { name: 'asserted', spec: { authMode: 'sojourn', template } });
  });

  after(async () => {
    await env.kubectl(['delete', 'sessions', '--all', '-n', 'default']);
    await env.kubectl(['delete', 'codeinterpreter', 'asserted', '-n', 'default']);
  });

  interface Request {
    method?: 'GET' | 'POST' | 'DELETE';
    path?: string;
    user?: UserInfo;
  }

  /** A request through kube-apiserver by the streaming proxy's account. */
  async function asProxy({
    method = 'POST',
    path = collection,
    user,
  }: Request): Promise<{ code: number; text: string }> {
    const { status, body: answer } = await env.asAccount('sojourn-proxy').requestRaw({
      method,
      path,
      headers: user === undefined ? {} : { [onBehalfOfHeader]: onBehalfOf(user) },
      ...(method === 'POST' ? { body } : {}),
    });
    return { code: status, text: answer.toString() };
  }

  /** A request through kube-apiserver by a person, with headers as they are. */
  async function asPerson(
    person: 'alice' | 'admin',
    headers: string[],
    { method = 'GET', path = collection }: Omit<Request, 'user'> = {},
  ): Promise<Answer> {
    const { pki, server } = env.cluster.plane;
    const { cert, key } = pki[person];
    return await https({
      ...{ url: `${server}${path}`, ca: env.ca, method },
      ...{ cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') },
      rawHeaders: ['Host', 'localhost', ...headers],
    });
  }

  const statusOf = (text: string) => JSON.parse(text) as Status;

  async function created(user: UserInfo): Promise<Session> {
    const { code, text } = await asProxy({ user });
    expect(code, text).to.equal(201);
    return JSON.parse(text) as Session;
  }

  it('makes a request the asserted user’s own: rights, and the user that the session has', async () => {
    const session = await created({ ...alice, uid: 'u-1' });
    expect(session.status?.user).to.deep.equal({ username: 'alice', uid: 'u-1' });
    const path = `${collection}/${session.metadata.name}`;
    expect((await asProxy({ method: 'GET', path, user: bob })).code).to.equal(200);
    const refused = await asProxy({ method: 'DELETE', path, user: bob });
    expect(refused.code).to.equal(403);
    expect(statusOf(refused.text).message).to.contain('User "bob" cannot delete resource "sessions"');
    expect((await asProxy({ method: 'DELETE', path, user: alice })).code).to.equal(200);
  });

  it('reviews exactly the asserted groups', async () => {
    const refused = await asProxy({ user: bob });
    expect(refused.code).to.equal(403);
    expect(statusOf(refused.text).message).to.contain('User "bob" cannot create resource "sessions"');
    const stranger = { username: 'zoë "the one"', groups: [] };
    expect(statusOf((await asProxy({ user: stranger })).text).message).to.contain('User "zoë \\"the one\\""');
    const admin = { username: 'zoë', groups: ['system:masters'] };
    expect((await created(admin)).status?.user?.username).to.equal('zoë');
  });

  it('changes nothing for a request without one', async () => {
    const { code, text } = await asProxy({});
    expect(code, text).to.equal(201);
    expect((JSON.parse(text) as Session).status?.user?.username).to.equal(proxyAccount);
  });

  it('is how the proxy creates and deletes sessions for callers with other credentials than tokens', async () => {
    const client = env.asAccount('sojourn-proxy');
    const sessions = new CallerSessions({ client, inFlight: new InFlight(defaultLimits), registry: new Registry() });
    const callers: Record<string, Caller> = {
      alice: { user: alice, credential: { kind: 'asserted' } },
      // With --auth=none nobody is asked who they are; what is created then is the proxy's own.
      [proxyAccount]: await openAccess(client, createLog({ level: 'error' })).authenticate({
        socket: undefined,
        rawHeaders: ['Host', 'localhost'],
      }),
    };
    for (const [username, caller] of Object.entries(callers)) {
      const session = await sessions.create(caller, 'default', body.spec.runtimeRef);
      expect(session.status?.user?.username).to.equal(username);
      await sessions.delete(caller, session);
    }
    const refused = sessions.create({ user: bob, credential: { kind: 'asserted' } }, 'default', body.spec.runtimeRef);
    expect(await refused.catch((error: Error) => error.message)).to.contain('User "bob" cannot create');
  });

  it('is believed of nobody without the right to delegate, not even about themselves', async () => {
    for (const user of [bob, alice, { username: 'admin', groups: ['system:masters'] }]) {
      const answer = await asPerson('alice', [onBehalfOfHeader, onBehalfOf(user)], { path: `${collection}/absent` });
      expect(answer.status).to.equal(403);
      expect(statusOf(answer.text).message).to.contain('User "alice" cannot delegate resource "sessions"');
    }
  });

  it('is taken to create, get and delete sessions and for nothing else', async () => {
    const assertion = [onBehalfOfHeader, onBehalfOf(alice)];
    const elsewhere: Omit<Request, 'user'>[] = [
      {},
      { path: `${collection}?watch=true` },
      { path: '/apis/sojourn.dev/v1alpha1/sessions' },
      { method: 'DELETE' },
      { path: `${collection}/absent/proxy/` },
      { method: 'POST', path: `${collection}/absent/proxy/api/execute` },
      { path: `${collection}/absent/status` },
      { path: '/apis/sojourn.dev/v1alpha1' },
    ];
    for (const request of elsewhere) {
      const answer = await asPerson('admin', assertion, request);
      expect(answer.status, JSON.stringify(request)).to.equal(400);
      expect(statusOf(answer.text).message).to.contain('is taken to create, get and delete a session');
    }
    const upgrade = [...assertion, 'Connection', 'Upgrade', 'Upgrade', 'tty/1'];
    expect((await asPerson('admin', upgrade, { path: `${collection}/absent/proxy/` })).status).to.equal(400);
  });

  it('must be there once', async () => {
    const assertion = [onBehalfOfHeader, onBehalfOf(alice)];
    const answer = await asPerson('admin', [...assertion, ...assertion], { path: `${collection}/absent` });
    expect(answer.status).to.equal(400);
    expect(statusOf(answer.text).message).to.contain('must be there once');
  });

  it('must be UserInfo and nothing else', async () => {
    const wrong = [
      '',
      'alice',
      '[]',
      'null',
      '"alice"',
      '{}',
      '{"username":""}',
      '{"username":"alice"}',
      '{"username":["alice"],"groups":[]}',
      '{"username":"alice","groups":"system:masters"}',
      '{"username":"alice","groups":[1]}',
      '{"username":"alice","groups":[],"uid":7}',
      '{"username":"alice","groups":[],"extra":[]}',
      '{"username":"alice","groups":[],"extra":{"a":"b"}}',
      '{"username":"alice","groups":[],"admin":true}',
      '{"username":"alice","groups":[],"__proto__":{}}',
      '{"username":"al\\nice","groups":[]}',
      '{"username":"\\ud800","groups":[]}',
      '{"username":"alic\u00e9","groups":[]}',
      '{"username":"alice","groups":[]},{"username":"bob","groups":[]}',
      onBehalfOf({ username: 'alice', groups: Array.from({ length: 3000 }, (_, index) => `team-${index}`) }),
    ];
    for (const value of wrong) {
      const answer = await asPerson('admin', [onBehalfOfHeader, value], { path: `${collection}/absent` });
      expect(answer.status, value.slice(0, 100)).to.equal(400);
      expect(statusOf(answer.text).message).to.match(/^header sojourn-on-behalf-of (must|may|needs|has)/);
    }
    const right = '{"username":"admin","groups":["system:masters"],"extra":{"a":["b"]}}';
    expect((await asPerson('admin', [onBehalfOfHeader, right], { path: `${collection}/absent` })).status).to.equal(404);
  });
});
