import { expect } from 'chai';
import { reviewAttributes } from '../../../apiserver/authentication/review-attributes.ts';
import { parseRequest } from '../../../apiserver/http/request-info.ts';
import { Authorizer } from '../../../proxy/access/authorize.ts';
import { useCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';
import { DirectPort, grant, statusOf } from './support/direct.ts';

const base = '/apis/sojourn.dev/v1alpha1';
const rule = (verbs: string[], resources = ['sessions'], resourceNames?: string[]) => ({
  apiGroups: ['sojourn.dev'],
  resources,
  verbs,
  ...(resourceNames === undefined ? {} : { resourceNames }),
});

describe('rights, asked for by the API server itself', () => {
  const env = useCluster();
  const space = env.namespace('rights');
  const direct = new DirectPort(env);
  const sessions = () => `${base}/namespaces/${space.name}/sessions`;
  const user = (username: string) => ({ username, groups: ['system:authenticated'] });
  const manifest = (name: string) => ({
    apiVersion: 'sojourn.dev/v1alpha1',
    kind: 'Session',
    metadata: { name },
    spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'none' } },
  });

  before(async () => {
    const people: [string, object[]][] = [
      ['patcher', [rule(['get', 'patch'])]],
      ['one-name', [rule(['get', 'list', 'watch', 'deletecollection'], ['sessions'], ['mine'])]],
      ['caller', [rule(['get'], ['sessions/proxy'])]],
      ['creator-of-calls', [rule(['create'], ['sessions/proxy'])]],
      // Whoever sees the rights of the last one sees those of all.
      ['reader', [rule(['get', 'list', 'watch'])]],
    ];
    for (const [name, rules] of people) {
      await grant(env, space.name, { name, rules, subjects: [{ kind: 'User', name }] });
    }
    const created = await env.client.requestRaw({ method: 'POST', path: sessions(), body: manifest('mine') });
    expect(created.status).to.equal(201);
    await until('the rights', async () => (await direct.as(user('reader'), sessions())).status === 200);
  });

  it('kube-apiserver’s own verdict is not taken for ours: what it would let pass is reviewed again', async () => {
    const tries: [string, string][] = [
      ['GET', sessions()],
      ['GET', `${sessions()}?watch=true`],
      ['GET', `${sessions()}/mine`],
      ['POST', sessions()],
      ['PUT', `${sessions()}/mine`],
      ['PATCH', `${sessions()}/mine`],
      ['DELETE', `${sessions()}/mine`],
      ['DELETE', sessions()],
      ['GET', `${sessions()}/mine/proxy/`],
      ['POST', `${sessions()}/mine/proxy/`],
      ['GET', `${sessions()}/mine/status`],
    ];
    for (const [method, path] of tries) {
      const answer = await direct.as(user('mallory'), path, { method });
      expect([answer.status, statusOf(answer).reason], `${method} ${path}`).to.deep.equal([403, 'Forbidden']);
    }
  });

  it('what is there and what is not are the same to who may not', async () => {
    const [present, absent] = await Promise.all(
      ['mine', 'none'].map((name) => direct.as(user('mallory'), `${sessions()}/${name}`)),
    );
    expect(present?.text.replaceAll('mine', 'none')).to.equal(absent?.text);
    for (const name of ['mine', 'none']) {
      const { headers } = await direct.as(user('mallory'), `${sessions()}/${name}/proxy/`);
      expect(headers).not.to.have.property('x-agentcube-session-id');
    }
  });

  it('a list of all namespaces needs the right to all of them, and is never cut down to those of some', async () => {
    for (const path of [
      `${base}/sessions`,
      `${base}/sessions?watch=true`,
      `${base}/sessions?fieldSelector=metadata.namespace%3D${space.name}`,
    ]) {
      const answer = await direct.as(user('reader'), path);
      expect(answer.status, path).to.equal(403);
      expect(statusOf(answer).message).to.contain('at the cluster scope');
    }
    expect((await direct.as({ username: 'admin', groups: ['system:masters'] }, `${base}/sessions`)).status).to.equal(
      200,
    );
  });

  it('a right to one name counts for a read that selects it, and for no deletion of a collection, as with kube-apiserver', async () => {
    const selected = (selector: string) => `${sessions()}?fieldSelector=${encodeURIComponent(selector)}`;
    const verdicts: [string, string, number][] = [
      ['GET', selected('metadata.name=mine'), 200],
      ['GET', selected('metadata.name==mine'), 200],
      ['GET', sessions(), 403],
      ['GET', selected('metadata.name=other'), 403],
      ['GET', selected('metadata.name!=mine'), 403],
      ['GET', `${selected('metadata.name=other')}&watch=true`, 403],
      ['DELETE', `${selected('metadata.name=mine')}&dryRun=All`, 403],
    ];
    const headers = { 'impersonate-user': 'one-name', 'impersonate-group': 'system:authenticated' };
    for (const [method, path, code] of verdicts) {
      const ours = await direct.as(user('one-name'), path, { method });
      const theirs = await env.client.requestRaw({ method: method as 'GET' | 'DELETE', path, headers });
      expect([ours.status, theirs.status], `${method} ${path}`).to.deep.equal([code, code]);
      if (code === 403) expect(statusOf(ours)).to.deep.equal(JSON.parse(theirs.body.toString()));
    }
  });

  it('a subresource is another right than its session, a call that writes another than one that reads', async () => {
    expect((await direct.as(user('reader'), `${sessions()}/mine/proxy/`)).status).to.equal(403);
    expect((await direct.as(user('caller'), `${sessions()}/mine`)).status).to.equal(403);
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      expect((await direct.as(user('caller'), `${sessions()}/mine/proxy/`, { method })).status, method).to.equal(403);
    }
    expect((await direct.as(user('creator-of-calls'), `${sessions()}/mine/proxy/`)).status).to.equal(403);
  });

  it('a path that climbs out of its session stays a call of that session, for whose right was asked', async () => {
    for (const rest of [
      '../../other/proxy/',
      '%2e%2e/%2e%2e/other',
      '..%2f..%2fother',
      '//evil.example/',
      '..;/..;/other',
    ]) {
      const { text } = await direct.as(user('caller'), `${sessions()}/mine/proxy/${rest}`);
      // Its session is held or starts; what matters is whose it is.
      expect(statusOf({ text }).details?.name, rest).to.equal('mine');
    }
    for (const path of [
      `${sessions()}/mine/proxy/../../../../other/sessions`.replace('/proxy', ''),
      `${sessions()}/mine%2Fproxy/x`,
      `/apis//sojourn.dev/v1alpha1/namespaces/${space.name}/sessions`,
    ]) {
      const answer = await direct.as({ username: 'root', groups: ['system:masters'] }, path);
      expect(answer.status, path).to.equal(404);
    }
  });

  it('a continue token of one namespace shows nothing of it in another', async () => {
    await env.client.request({ method: 'POST', path: sessions(), body: manifest('mine-too') });
    const { name } = await env.createNamespace('rights-other');
    await grant(env, name, {
      name: 'reader',
      rules: [rule(['list'])],
      subjects: [{ kind: 'User', name: 'elsewhere' }],
    });
    const first = await direct.as(user('reader'), `${sessions()}?limit=1`);
    const token = (JSON.parse(first.text) as { metadata: { continue: string } }).metadata.continue;
    expect(token).to.be.a('string').and.not.equal('');
    const there = `${base}/namespaces/${name}/sessions?limit=1&continue=${encodeURIComponent(token)}`;
    const answer = await until('the right', async () => {
      const got = await direct.as(user('elsewhere'), there);
      return got.status !== 403 && got;
    });
    expect(answer.text).not.to.contain('mine');
    expect(
      (await direct.as(user('elsewhere'), `${sessions()}?limit=1&continue=${encodeURIComponent(token)}`)).status,
    ).to.equal(403);
    await env.client.request({ method: 'DELETE', path: `${sessions()}/mine-too` });
    await env.client.request({ method: 'DELETE', path: `/api/v1/namespaces/${name}` });
  });

  it('an apply that would create a session needs the right to create, and without it says the same of every name', async () => {
    const apply = (name: string) =>
      direct.as(user('patcher'), `${sessions()}/${name}?fieldManager=test`, {
        method: 'PATCH',
        contentType: 'application/apply-patch+yaml',
        body: manifest(name),
      });
    const refused = await apply('by-apply');
    expect(refused.status, refused.text).to.equal(403);
    expect(statusOf(refused).message).to.contain('cannot create resource "sessions"');
    expect((await env.client.requestRaw({ path: `${sessions()}/by-apply` })).status).to.equal(404);
    expect((await apply('mine')).status).to.equal(200);
  });

  it('system:masters are asked about like everybody, and found to have every right', async () => {
    const masters = { username: 'root', groups: ['system:masters', 'system:authenticated'] };
    expect((await direct.as(masters, sessions())).status).to.equal(200);
    for (const groups of [['a, system:masters'], ['system:masters '], ['System:Masters'], ['system:masters/x']]) {
      // HTTP takes blanks off the ends of a value.
      const expected = groups[0]?.trim() === 'system:masters' ? 200 : 403;
      expect((await direct.as({ username: 'mallory', groups }, sessions())).status, groups[0]).to.equal(expected);
    }
  });

  it('nobody impersonates at our port, where nobody would ask for the right to', async () => {
    const masters = { username: 'root', groups: ['system:masters'] };
    for (const header of ['Impersonate-User', 'impersonate-group', 'Impersonate-Uid', 'Impersonate-Extra-Scopes']) {
      for (const path of [sessions(), `${sessions()}/mine/proxy/`]) {
        const answer = await direct.as(masters, path, { rawHeaders: [header, 'alice'] });
        expect([answer.status, statusOf(answer).message], header).to.deep.equal([
          400,
          'Impersonate-* headers count at kube-apiserver only: send the request through it, or without them',
        ]);
      }
    }
    const through = await env.kubectl(['get', 'sessions', '-n', space.name, '--as=reader', '-o', 'name']);
    expect(through.stdout).to.equal('session.sojourn.dev/mine\n');
  });

  it('a user of 1,200 groups whose last one has the right', async () => {
    const groups = Array.from({ length: 1200 }, (_, index) => `team-${index}`);
    const somebody = { username: 'of-many-teams', groups };
    await grant(env, space.name, {
      name: 'last-team',
      rules: [rule(['list'])],
      subjects: [{ kind: 'Group', name: 'team-1199' }],
    });
    await until('the right of the last group', async () => (await direct.as(somebody, sessions())).status === 200);
    expect((await direct.as({ ...somebody, groups: groups.slice(0, -1) }, sessions())).status).to.equal(403);
    // kube-apiserver brings them over HTTP/2, where each header counts for more.
    const as = ['--as=of-many-teams', ...groups.map((group) => `--as-group=${group}`)];
    const through = await env.kubectl(['get', 'sessions', '-n', space.name, '-o', 'name', ...as]);
    expect(through.stdout, through.stderr).to.contain('session.sojourn.dev/mine');
  });

  it('a user whose name is not ASCII has the rights of that name, and the sessions show it', async () => {
    const name = 'alïce 愛';
    await grant(env, space.name, {
      name: 'beyond-ascii',
      rules: [rule(['create'])],
      subjects: [{ kind: 'User', name }],
    });
    const created = await until('the right', async () => {
      const answer = await direct.as({ username: name }, sessions(), { method: 'POST', body: manifest('beyond') });
      return answer.status === 201 && answer;
    });
    expect(JSON.parse(created.text)).to.have.nested.property('status.user.username', name);
    expect(
      (await direct.as({ username: 'alice 愛' }, sessions(), { method: 'POST', body: manifest('b') })).status,
    ).to.equal(403);
  });
});

describe('the question that kube-apiserver is asked about a request', () => {
  const env = useCluster();
  const question = (method: string, target: string) => {
    const info = parseRequest(method, target);
    if (info.kind !== 'resource') throw new Error(`${target} is no resource`);
    const { group: _group, version: _version, resource: _resource, ...asked } = reviewAttributes(info);
    return asked;
  };
  const path = `${base}/namespaces/a/sessions`;
  const encoded = encodeURIComponent;

  const cases: [string, string, object][] = [
    ['GET', `${path}/b?labelSelector=x`, { verb: 'get', namespace: 'a', name: 'b' }],
    ['POST', `${path}?labelSelector=x`, { verb: 'create', namespace: 'a' }],
    ['GET', `${base}/sessions`, { verb: 'list' }],
    [
      'GET',
      `${path}?fieldSelector=${encoded('metadata.name=x')}`,
      {
        verb: 'list',
        namespace: 'a',
        name: 'x',
        fieldSelector: [{ key: 'metadata.name', operator: 'In', values: ['x'] }],
      },
    ],
    [
      'GET',
      `${path}?watch=1&fieldSelector=${encoded('status.phase!=Ready,spec.runtimeRef.name==p\\,y')}`,
      {
        verb: 'watch',
        namespace: 'a',
        fieldSelector: [
          { key: 'spec.runtimeRef.name', operator: 'In', values: ['p,y'] },
          { key: 'status.phase', operator: 'NotIn', values: ['Ready'] },
        ],
      },
    ],
    [
      'DELETE',
      `${path}?labelSelector=${encoded('!c,b in (y,x),a=1,d!=2,e,f notin (z)')}`,
      {
        verb: 'deletecollection',
        namespace: 'a',
        labelSelector: [
          { key: 'a', operator: 'In', values: ['1'] },
          { key: 'b', operator: 'In', values: ['x', 'y'] },
          { key: 'c', operator: 'DoesNotExist' },
          { key: 'd', operator: 'NotIn', values: ['2'] },
          { key: 'e', operator: 'Exists' },
          { key: 'f', operator: 'NotIn', values: ['z'] },
        ],
      },
    ],
    ['GET', `${path}?labelSelector=${encoded('a>1')}`, { verb: 'list', namespace: 'a' }],
    ['GET', `${path}?labelSelector=${encoded('a in (')}`, { verb: 'list', namespace: 'a' }],
    ['GET', `${path}?fieldSelector=${encoded('a=b\\')}`, { verb: 'list', namespace: 'a' }],
    ['GET', `${path}?fieldSelector=${encoded('a=\\b')}`, { verb: 'list', namespace: 'a' }],
    ['GET', `${path}?fieldSelector=nonsense`, { verb: 'list', namespace: 'a' }],
    ['GET', `${path}?fieldSelector=&labelSelector=`, { verb: 'list', namespace: 'a' }],
  ];
  for (const [method, target, expected] of cases) {
    it(`${method} ${decodeURIComponent(target)} asks for ${JSON.stringify(expected)}`, () => {
      expect(question(method, target)).to.deep.equal(expected);
    });
  }

  it('is one that kube-apiserver understands', async () => {
    const authorizer = new Authorizer(env.client);
    for (const [method, target] of cases) {
      const info = parseRequest(method, target);
      if (info.kind !== 'resource') continue;
      await authorizer.authorize({ username: 'root', groups: ['system:masters'] }, reviewAttributes(info));
    }
  });
});
