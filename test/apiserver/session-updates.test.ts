import { expect } from 'chai';
import type { KubeResponse } from '../../apis/client/transport.ts';
import type { Status } from '../../apis/machinery/meta.ts';
import { annotations } from '../../apis/names.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import type { Session, SessionSpec } from '../../apis/v1alpha1/types.ts';
import { sessionsPath } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';
import { until } from '../support/until.ts';

const merge = 'application/merge-patch+json';
const json = 'application/json-patch+json';

describe('changes of sessions', () => {
  const env = useCluster();
  const space = env.namespace('updates');
  const path = (name: string) => `${sessionsPath(space.name)}/${name}`;
  const status = (answer: KubeResponse) => JSON.parse(answer.body.toString('utf8')) as Status;
  const sessionIn = (answer: KubeResponse) => JSON.parse(answer.body.toString('utf8')) as Session;

  const create = async (name: string, spec: Partial<SessionSpec> = {}, metadata: object = {}) =>
    await env.client.request<Session>({
      method: 'POST',
      path: sessionsPath(space.name),
      body: {
        apiVersion: 'sojourn.dev/v1alpha1',
        kind: 'Session',
        metadata: { name, ...metadata },
        spec: { ...spec, runtimeRef: { kind: 'CodeInterpreter', name: 'none' } },
      },
    });
  const read = async (name: string) => await env.client.request<Session>({ path: path(name) });
  const sandboxOf = async (name: string) =>
    await env.client.request<Sandbox>({
      path: `/apis/agents.x-k8s.io/v1beta1/namespaces/${space.name}/sandboxes/${name}`,
    });
  const patch = async (name: string, body: unknown, { type = merge, query = {} }: PatchOptions = {}) =>
    await env.client.requestRaw({ method: 'PATCH', path: path(name), query, contentType: type, body });
  const put = async (name: string, body: object, query: Record<string, string> = {}) =>
    await env.client.requestRaw({ method: 'PUT', path: path(name), query, body });
  const ready = async (name: string) =>
    await until(`${name} to be ready`, async () => {
      const session = await read(name);
      return session.status?.phase === 'Ready' ? session : undefined;
    });
  const kubectl = async (...args: string[]) => {
    const result = await env.kubectl([...args, '-n', space.name]);
    expect(result.code, result.stderr).to.equal(0);
    return result;
  };

  describe('with kubectl', () => {
    it('label, annotate, patch, replace and apply', async () => {
      await create('tools', {}, { labels: { team: 'a', gone: 'soon' } });
      const before = await ready('tools');
      await kubectl('label', 'session', 'tools', 'app=web', 'foo.com/bar=baz', 'gone-');
      await kubectl('annotate', 'session', 'tools', 'example.com/note=hello');
      await kubectl('patch', 'session', 'tools', '--type=merge', '-p', '{"spec":{"idleTimeout":"5m"}}');
      await kubectl(
        ...['patch', 'session', 'tools', '--type=json'],
        ...[
          '-p',
          '[{"op":"test","path":"/spec/idleTimeout","value":"5m"},{"op":"replace","path":"/spec/maxDuration","value":"1h"}]',
        ],
      );
      const after = await read('tools');
      expect(after.metadata.labels).to.deep.equal({ team: 'a', app: 'web', 'foo.com/bar': 'baz' });
      expect(after.metadata.annotations).to.deep.equal({ 'example.com/note': 'hello' });
      expect(after.spec).to.include({ idleTimeout: '5m', maxDuration: '1h' });
      expect(after.metadata.generation).to.equal((before.metadata.generation ?? 0) + 2);
      const sandbox = await sandboxOf('tools');
      expect(sandbox.metadata.labels).to.include({
        'u.sojourn.dev/team': 'a',
        'u.sojourn.dev/app': 'web',
        'foo.com.u.sojourn.dev/bar': 'baz',
        'sojourn.dev/session': 'true',
      });
      expect(sandbox.metadata.labels).not.to.have.property('u.sojourn.dev/gone');
      expect((await kubectl('get', 'sessions', '-l', 'app=web', '-o', 'name')).stdout).to.contain(
        'session.sojourn.dev/tools',
      );

      const replaced = { ...after, apiVersion: 'sojourn.dev/v1alpha1', kind: 'Session' };
      replaced.spec = { ...after.spec, idleTimeout: '6m' };
      const input = { stdin: JSON.stringify(replaced) };
      const answer = await env.kubectl(['replace', '-n', space.name, '-f', '-'], input);
      expect(answer.code, answer.stderr).to.equal(0);
      expect((await read('tools')).spec.idleTimeout).to.equal('6m');
      const stale = await env.kubectl(['replace', '-n', space.name, '-f', '-'], input);
      expect(stale.stderr).to.contain('the object has been modified; please apply your changes to the latest version');

      const { metadata: _all, status: _status, ...rest } = replaced;
      const applied = { ...rest, metadata: { name: 'tools', namespace: space.name, labels: { applied: 'yes' } } };
      const apply = await env.kubectl(['apply', '-n', space.name, '-f', '-'], { stdin: JSON.stringify(applied) });
      expect(apply.code, apply.stderr).to.equal(0);
      expect((await read('tools')).metadata.labels).to.deep.include({ applied: 'yes', app: 'web' });
    });

    it('a strategic merge patch is refused as for any custom resource', async () => {
      await create('strategic');
      const answer = await env.kubectl(['patch', 'session', 'strategic', '-n', space.name, '-p', '{"spec":{}}']);
      expect(answer.stderr).to.contain('application/strategic-merge-patch+json is not supported');
      const raw = await patch('strategic', {}, { type: 'application/strategic-merge-patch+json' });
      expect(status(raw)).to.include({ code: 415, reason: 'UnsupportedMediaType' });
      expect(status(raw).message).to.contain(
        'accepted media types include: application/json-patch+json, application/merge-patch+json',
      );
    });
  });

  describe('are one write', () => {
    it('that carries document, labels and the deadline together; a patch that changes nothing is none', async () => {
      await create('one-write');
      await ready('one-write');
      const before = await sandboxOf('one-write');
      const changed = await patch('one-write', {
        metadata: { labels: { app: 'x' }, annotations: { note: 'n' } },
        spec: { idleTimeout: '8m' },
      });
      expect(changed.status).to.equal(200);
      const after = await sandboxOf('one-write');
      expect(after.metadata.generation).to.equal((before.metadata.generation ?? 0) + 1);
      expect(sessionIn(changed).metadata.labels).to.deep.equal({ app: 'x' });
      expect(after.metadata.labels).to.include({ 'u.sojourn.dev/app': 'x' });
      const created = Date.parse(sessionIn(changed).metadata.creationTimestamp ?? '');
      expect(Date.parse(after.spec?.shutdownTime ?? '') - created).to.equal((8 * 60 + 120) * 1000);
      const again = await until('a moment without other writes', async () => {
        const { resourceVersion } = (await sandboxOf('one-write')).metadata;
        const answer = await patch('one-write', { spec: { idleTimeout: '8m' }, status: { phase: 'Failed' } });
        const now = (await sandboxOf('one-write')).metadata.resourceVersion;
        return now === resourceVersion ? { answer, resourceVersion } : undefined;
      });
      expect(sessionIn(again.answer).metadata.resourceVersion).to.equal(again.resourceVersion);
      expect(sessionIn(again.answer).status?.phase).to.equal('Ready');
    });

    it('that raises the generation for the spec alone', async () => {
      await create('generation');
      const labelled = sessionIn(await patch('generation', { metadata: { labels: { a: 'b' } } }));
      expect(labelled.metadata.generation).to.equal(1);
      const changed = sessionIn(await patch('generation', { spec: { idleAction: 'Suspend' } }));
      expect(changed.metadata.generation).to.equal(2);
      expect(sessionIn(await patch('generation', { metadata: { generation: 9 } })).metadata.generation).to.equal(2);
    });

    it('that fills in defaults again for what is taken away', async () => {
      await create('defaults', { idleTimeout: '1m', idleAction: 'Suspend' });
      const answer = sessionIn(await patch('defaults', { spec: { idleTimeout: null, idleAction: null } }));
      expect(answer.spec).to.include({ idleTimeout: '15m', idleAction: 'Delete' });
    });

    it('only tried under dryRun', async () => {
      await create('dry');
      const tried = await patch('dry', { metadata: { labels: { a: 'b' } } }, { query: { dryRun: 'All' } });
      expect([tried.status, sessionIn(tried).metadata.labels]).to.deep.equal([200, { a: 'b' }]);
      expect((await read('dry')).metadata.labels).to.equal(undefined);
    });

    it('of which concurrent ones are all there afterwards', async () => {
      await create('concurrent');
      const keys = Array.from({ length: 12 }, (_, index) => `k${index}`);
      const answers = await Promise.all(
        keys.map((key) => patch('concurrent', { metadata: { labels: { [key]: 'v' } } })),
      );
      const accepted = keys.filter((_, index) => answers[index]?.status === 200);
      expect(Object.keys((await read('concurrent')).metadata.labels ?? {}).sort()).to.deep.equal(accepted.sort());
      expect(answers.every(({ status: code }) => code === 200 || code === 409)).to.equal(true);
      expect(accepted.length).to.be.above(5);
    });
  });

  describe('are refused with every cause', () => {
    const spec = (change: object) => ({ spec: change });
    const cases: [string, object, number, RegExp, Record<string, string>?][] = [
      [
        'another runtime',
        spec({ runtimeRef: { name: 'py' } }),
        422,
        /spec\.runtimeRef: Invalid value: field is immutable/,
      ],
      ['another uid', { metadata: { uid: 'x' } }, 422, /metadata\.uid: Invalid value: "x": field is immutable/],
      [
        'another name',
        { metadata: { name: 'x' } },
        400,
        /the name of the object \(x\) does not match the name on the URL/,
      ],
      [
        'another namespace',
        { metadata: { namespace: 'x' } },
        400,
        /the namespace of the provided object does not match/,
      ],
      [
        'a limit above the runtime’s',
        spec({ maxDuration: '9h' }),
        422,
        /must not be more than the runtime's maxSessionDuration \(8h\)/,
      ],
      [
        'an idleTimeout above maxDuration',
        spec({ maxDuration: '10m' }),
        422,
        /spec\.idleTimeout: Invalid value: must not be more than maxDuration/,
      ],
      ['a wrong type', spec({ suspended: 'yes' }), 422, /spec\.suspended.*must be of type boolean/],
      ['a bad label', { metadata: { labels: { 'a b': 'c' } } }, 422, /metadata\.labels: Invalid value: "a b"/],
      [
        'a pool as owner',
        {
          metadata: {
            ownerReferences: [
              { apiVersion: 'extensions.agents.x-k8s.io/v1beta1', kind: 'SandboxWarmPool', name: 'p', uid: 'u' },
            ],
          },
        },
        422,
        /cannot be owned by a pool/,
      ],
      [
        'how a finalizer is stored',
        { metadata: { finalizers: ['sojourn.dev/orphan'] } },
        422,
        /is how another finalizer is stored/,
      ],
      ['more than 16 KiB', { metadata: { annotations: { a: 'x'.repeat(17_000) } } }, 422, /Too long/],
      [
        'an unknown field under Strict',
        spec({ foo: 1 }),
        422,
        /patch: Invalid value: .*strict decoding error: unknown field "spec\.foo"/,
        { fieldValidation: 'Strict' },
      ],
      ['a wrong dryRun', spec({}), 422, /PatchOptions.*dryRun.*Unsupported value/, { dryRun: 'Some' }],
    ];
    before(() => create('refusing'));
    for (const [what, body, code, sentence, query] of cases) {
      it(`${what}: ${code}`, async () => {
        const answer = await patch('refusing', body, { query });
        expect(status(answer).message).to.match(sentence);
        expect(answer.status).to.equal(code);
      });
    }

    it('a patch that is none', async () => {
      const notAList = await patch('refusing', { op: 'add' }, { type: json });
      expect(notAList.status).to.equal(400);
      const missing = await patch('refusing', [{ op: 'remove', path: '/spec/nothing' }], { type: json });
      expect(status(missing)).to.include({ code: 422, reason: 'Invalid' });
      const hostile = await patch('refusing', [{ op: 'add', path: '/__proto__/x', value: 1 }], { type: json });
      expect(hostile.status).to.equal(422);
    });

    it('an unknown field is warned of otherwise', async () => {
      const answer = await patch('refusing', { spec: { foo: 1 } });
      expect([answer.status, String(answer.headers.warning)]).to.deep.equal([
        200,
        '299 - "unknown field \\"spec.foo\\""',
      ]);
    });

    it('a session that is not there', async () => {
      expect(status(await patch('absent', {})).message).to.equal('sessions.sojourn.dev "absent" not found');
      const absent = { apiVersion: 'sojourn.dev/v1alpha1', kind: 'Session', metadata: { name: 'absent' } };
      expect((await put('absent', absent)).status).to.equal(404);
    });
  });

  describe('mean one state of the session when they say so', () => {
    it('a PUT always: 409 when it is stale, 422 when it does not say', async () => {
      await create('put');
      const session = await ready('put');
      const { resourceVersion: _version, ...metadata } = session.metadata;
      expect(status(await put('put', { ...session, metadata })).message).to.contain(
        'metadata.resourceVersion: Invalid value: 0: must be specified for an update',
      );
      const changed = await put('put', { ...session, metadata: { ...session.metadata, labels: { a: 'b' } } });
      expect([changed.status, sessionIn(changed).metadata.labels]).to.deep.equal([200, { a: 'b' }]);
      const stale = await put('put', session);
      expect(status(stale)).to.include({ code: 409, reason: 'Conflict' });
      expect(status(stale).message).to.match(
        /^Operation cannot be fulfilled on sessions\.sojourn\.dev "put": the object has been modified/,
      );
      const current = await read('put');
      const other = await put('put', { ...current, metadata: { ...current.metadata, uid: 'other' } });
      expect(status(other)).to.include({ code: 409, reason: 'Conflict' });
    });

    it('a patch with a resourceVersion', async () => {
      await create('pinned');
      const session = await ready('pinned');
      const labels = { a: 'b' };
      const { resourceVersion } = session.metadata;
      expect((await patch('pinned', { metadata: { resourceVersion, labels } })).status).to.equal(200);
      expect((await patch('pinned', { metadata: { resourceVersion, labels: { a: 'c' } } })).status).to.equal(409);
    });

    it('what a client cannot choose stays as it is', async () => {
      await create('kept');
      const session = await ready('kept');
      const sent = {
        ...session.metadata,
        creationTimestamp: '2001-01-01T00:00:00Z',
        generation: 7,
        labels: { a: 'b' },
      };
      const answer = sessionIn(await put('kept', { ...session, metadata: sent, status: { phase: 'Failed' } }));
      expect(answer.metadata.creationTimestamp).to.equal(session.metadata.creationTimestamp);
      expect([answer.metadata.generation, answer.status?.phase]).to.deep.equal([1, 'Ready']);
    });
  });

  describe('of finalizers and owners', () => {
    it('hold a session that is deleted until the last one is gone', async () => {
      await create('held', {}, { finalizers: ['example.com/hold'] });
      await patch('held', { metadata: { finalizers: ['example.com/hold', 'foregroundDeletion'] } });
      expect((await sandboxOf('held')).metadata.finalizers).to.deep.equal([
        'example.com/hold',
        'sojourn.dev/foregroundDeletion',
      ]);
      await env.client.request({ method: 'DELETE', path: path('held') });
      const terminating = await read('held');
      expect(terminating.status?.phase).to.equal('Terminating');
      expect(terminating.metadata.finalizers).to.include('example.com/hold');
      const added = await patch('held', { metadata: { finalizers: ['example.com/hold', 'example.com/more'] } });
      expect(status(added).message).to.contain('no new finalizers can be added if the object is being deleted');
      expect((await patch('held', { metadata: { finalizers: null } })).status).to.equal(200);
      await until(
        'the session to go',
        async () => (await env.client.requestRaw({ path: path('held') })).status === 404,
      );
    });

    it('are removed by the garbage collector where they are its own', async () => {
      for (const finalizer of ['foregroundDeletion', 'orphan']) {
        const name = `gc-${finalizer.toLowerCase()}`;
        await create(name, {}, { finalizers: [finalizer] });
        await env.client.request({ method: 'DELETE', path: path(name) });
        const isGone = async () => (await env.client.requestRaw({ path: path(name) })).status === 404;
        await until(`the session with ${finalizer} to go`, isGone);
      }
    }).timeout(60_000);

    it('leave those of the Sandbox alone', async () => {
      await create('owned');
      const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'kube-root-ca.crt', uid: '' };
      const map = await env.client.request<Session>({
        path: `/api/v1/namespaces/${space.name}/configmaps/kube-root-ca.crt`,
      });
      owner.uid = map.metadata.uid ?? '';
      const answer = sessionIn(await patch('owned', { metadata: { ownerReferences: [owner] } }));
      expect(answer.metadata.ownerReferences).to.deep.equal([owner]);
      expect((await sandboxOf('owned')).metadata.ownerReferences).to.deep.equal([owner]);
    });

    it('are all that can be changed of a session whose document is broken, so that it can go', async () => {
      await create('broken', {}, { finalizers: ['example.com/hold'] });
      await env.asAccount('sojourn-apiserver').request({
        method: 'PATCH',
        path: `/apis/agents.x-k8s.io/v1beta1/namespaces/${space.name}/sandboxes/broken`,
        contentType: merge,
        body: { metadata: { annotations: { [annotations.session]: '{' } } },
      });
      const refused = await patch('broken', { metadata: { annotations: { a: 'b' } } });
      expect(status(refused).message).to.contain('the stored session cannot be read');
      await env.client.request({ method: 'DELETE', path: path('broken') });
      expect((await patch('broken', { metadata: { finalizers: [] } })).status).to.equal(200);
      await until(
        'the session to go',
        async () => (await env.client.requestRaw({ path: path('broken') })).status === 404,
      );
    });
  });

  it('need a right of their own', async () => {
    await create('rights');
    const allowed = async (verb: string, person: 'alice' | 'bob') =>
      (await env.kubectlAs(person, ['auth', 'can-i', verb, 'sessions.sojourn.dev', '-n', 'default'])).stdout.trim();
    expect([await allowed('patch', 'alice'), await allowed('update', 'alice')]).to.deep.equal(['yes', 'yes']);
    expect([await allowed('patch', 'bob'), await allowed('update', 'bob')]).to.deep.equal(['no', 'no']);
  });
});

interface PatchOptions {
  type?: string;
  query?: Record<string, string> | undefined;
}
