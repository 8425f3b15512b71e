import { expect } from 'chai';
import { annotations } from '../../apis/names.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { useCluster } from '../support/cluster.ts';
import { until } from '../support/until.ts';
import { mergePatch, SessionClient, sessionIn, statusIn } from './support/session-client.ts';

describe('changes of sessions', () => {
  const env = useCluster();
  const space = env.namespace('updates');
  const sessions = new SessionClient(env, () => space.name);
  const kubectl = async (...args: string[]) => {
    const result = await env.kubectl([...args, '-n', space.name]);
    expect(result.code, result.stderr).to.equal(0);
    return result;
  };

  describe('with kubectl', () => {
    it('label, annotate, patch, replace and apply', async () => {
      await sessions.create('tools', {}, { labels: { team: 'a', gone: 'soon' } });
      const before = await sessions.ready('tools');
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
      await sessions.noticed('tools');
      const after = await sessions.read('tools');
      expect(after.metadata.labels).to.deep.equal({ team: 'a', app: 'web', 'foo.com/bar': 'baz' });
      expect(after.metadata.annotations).to.deep.equal({ 'example.com/note': 'hello' });
      expect(after.spec).to.include({ idleTimeout: '5m', maxDuration: '1h' });
      expect(after.metadata.generation).to.equal((before.metadata.generation ?? 0) + 2);
      const sandbox = await sessions.sandboxOf('tools');
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
      expect((await sessions.read('tools')).spec.idleTimeout).to.equal('6m');
      const stale = await env.kubectl(['replace', '-n', space.name, '-f', '-'], input);
      expect(stale.stderr).to.contain('the object has been modified; please apply your changes to the latest version');

      const { metadata: _all, status: _status, ...rest } = replaced;
      const applied = { ...rest, metadata: { name: 'tools', namespace: space.name, labels: { applied: 'yes' } } };
      const apply = await env.kubectl(['apply', '-n', space.name, '-f', '-'], { stdin: JSON.stringify(applied) });
      expect(apply.code, apply.stderr).to.equal(0);
      expect((await sessions.read('tools')).metadata.labels).to.deep.include({ applied: 'yes', app: 'web' });
    }).timeout(120_000);

    it('a strategic merge patch is refused as for any custom resource', async () => {
      await sessions.create('strategic');
      const answer = await env.kubectl(['patch', 'session', 'strategic', '-n', space.name, '-p', '{"spec":{}}']);
      expect(answer.stderr).to.contain('application/strategic-merge-patch+json is not supported');
      const raw = await sessions.patch('strategic', {}, { type: 'application/strategic-merge-patch+json' });
      expect(statusIn(raw)).to.include({ code: 415, reason: 'UnsupportedMediaType' });
      expect(statusIn(raw).message).to.contain(
        'accepted media types include: application/json-patch+json, application/merge-patch+json',
      );
    });
  });

  describe('are one write', () => {
    it('that carries document, labels and the deadline together; a patch that changes nothing is none', async () => {
      await sessions.create('one-write');
      await sessions.ready('one-write');
      const before = await sessions.sandboxOf('one-write');
      const changed = await sessions.patch('one-write', {
        metadata: { labels: { app: 'x' }, annotations: { note: 'n' } },
        spec: { idleTimeout: '8m' },
      });
      expect(changed.status).to.equal(200);
      const after = await sessions.sandboxOf('one-write');
      expect(after.metadata.generation).to.equal((before.metadata.generation ?? 0) + 1);
      expect(sessionIn(changed).metadata.labels).to.deep.equal({ app: 'x' });
      expect(after.metadata.labels).to.include({ 'u.sojourn.dev/app': 'x' });
      const created = Date.parse(sessionIn(changed).metadata.creationTimestamp ?? '');
      expect(Date.parse(after.spec?.shutdownTime ?? '') - created).to.equal((8 * 60 + 120) * 1000);
      const again = await until('a moment without other writes', async () => {
        const { resourceVersion } = (await sessions.sandboxOf('one-write')).metadata;
        const answer = await sessions.patch('one-write', { spec: { idleTimeout: '8m' }, status: { phase: 'Failed' } });
        const now = (await sessions.sandboxOf('one-write')).metadata.resourceVersion;
        return now === resourceVersion ? { answer, resourceVersion } : undefined;
      });
      expect(sessionIn(again.answer).metadata.resourceVersion).to.equal(again.resourceVersion);
      expect(sessionIn(again.answer).status?.phase).to.equal('Ready');
    });

    it('that raises the generation for the spec alone', async () => {
      await sessions.create('generation');
      const labelled = sessionIn(await sessions.patch('generation', { metadata: { labels: { a: 'b' } } }));
      expect(labelled.metadata.generation).to.equal(1);
      const changed = sessionIn(await sessions.patch('generation', { spec: { idleAction: 'Suspend' } }));
      expect(changed.metadata.generation).to.equal(2);
      expect(
        sessionIn(await sessions.patch('generation', { metadata: { generation: 9 } })).metadata.generation,
      ).to.equal(2);
    });

    it('that fills in defaults again for what is taken away', async () => {
      await sessions.create('defaults', { idleTimeout: '1m', idleAction: 'Suspend' });
      const answer = sessionIn(await sessions.patch('defaults', { spec: { idleTimeout: null, idleAction: null } }));
      expect(answer.spec).to.include({ idleTimeout: '15m', idleAction: 'Delete' });
    });

    it('only tried under dryRun', async () => {
      await sessions.create('dry');
      const tried = await sessions.patch('dry', { metadata: { labels: { a: 'b' } } }, { query: { dryRun: 'All' } });
      expect([tried.status, sessionIn(tried).metadata.labels]).to.deep.equal([200, { a: 'b' }]);
      expect((await sessions.read('dry')).metadata.labels).to.equal(undefined);
    });

    it('of which concurrent ones are all there afterwards', async () => {
      await sessions.create('concurrent');
      const keys = Array.from({ length: 24 }, (_, index) => `k${index}`);
      const answers = await Promise.all(
        keys.map((key) => sessions.patch('concurrent', { metadata: { labels: { [key]: 'v' } } })),
      );
      expect(answers.map(({ status }) => status)).to.deep.equal(keys.map(() => 200));
      expect(Object.keys((await sessions.read('concurrent')).metadata.labels ?? {})).to.have.members(keys);
    });
  });

  describe('mean one state of the session when they say so', () => {
    it('a PUT always: 409 when it is stale, 422 when it does not say', async () => {
      await sessions.create('put');
      const session = await sessions.ready('put');
      const { resourceVersion: _version, ...metadata } = session.metadata;
      expect(statusIn(await sessions.put('put', { ...session, metadata })).message).to.contain(
        'metadata.resourceVersion: Invalid value: 0: must be specified for an update',
      );
      const changed = await sessions.put('put', { ...session, metadata: { ...session.metadata, labels: { a: 'b' } } });
      expect([changed.status, sessionIn(changed).metadata.labels]).to.deep.equal([200, { a: 'b' }]);
      const stale = await sessions.put('put', session);
      expect(statusIn(stale)).to.include({ code: 409, reason: 'Conflict' });
      expect(statusIn(stale).message).to.match(
        /^Operation cannot be fulfilled on sessions\.sojourn\.dev "put": the object has been modified/,
      );
      const current = await sessions.read('put');
      const other = await sessions.put('put', { ...current, metadata: { ...current.metadata, uid: 'other' } });
      expect(statusIn(other)).to.include({ code: 409, reason: 'Conflict' });
    });

    it('a patch with a resourceVersion', async () => {
      await sessions.create('pinned');
      const session = await sessions.ready('pinned');
      const labels = { a: 'b' };
      const { resourceVersion } = session.metadata;
      expect((await sessions.patch('pinned', { metadata: { resourceVersion, labels } })).status).to.equal(200);
      expect((await sessions.patch('pinned', { metadata: { resourceVersion, labels: { a: 'c' } } })).status).to.equal(
        409,
      );
    });

    it('what a client cannot choose stays as it is', async () => {
      await sessions.create('kept');
      const session = await sessions.ready('kept');
      const sent = {
        ...session.metadata,
        creationTimestamp: '2001-01-01T00:00:00Z',
        generation: 7,
        labels: { a: 'b' },
      };
      const answer = sessionIn(await sessions.put('kept', { ...session, metadata: sent, status: { phase: 'Failed' } }));
      expect(answer.metadata.creationTimestamp).to.equal(session.metadata.creationTimestamp);
      expect([answer.metadata.generation, answer.status?.phase]).to.deep.equal([1, 'Ready']);
    });
  });

  describe('of finalizers and owners', () => {
    it('hold a session that is deleted until the last one is gone', async () => {
      await sessions.create('held', {}, { finalizers: ['example.com/hold'] });
      await sessions.patch('held', { metadata: { finalizers: ['example.com/hold', 'foregroundDeletion'] } });
      expect((await sessions.sandboxOf('held')).metadata.finalizers).to.deep.equal([
        'example.com/hold',
        'sojourn.dev/foregroundDeletion',
      ]);
      await sessions.delete('held');
      const terminating = await sessions.read('held');
      expect(terminating.status?.phase).to.equal('Terminating');
      expect(terminating.metadata.finalizers).to.include('example.com/hold');
      const added = await sessions.patch('held', {
        metadata: { finalizers: ['example.com/hold', 'example.com/more'] },
      });
      expect(statusIn(added).message).to.contain('no new finalizers can be added if the object is being deleted');
      expect((await sessions.patch('held', { metadata: { finalizers: null } })).status).to.equal(200);
      await sessions.gone('held');
    });

    it('are removed by the garbage collector where they are its own', async () => {
      for (const finalizer of ['foregroundDeletion', 'orphan']) {
        const name = `gc-${finalizer.toLowerCase()}`;
        await sessions.create(name, {}, { finalizers: [finalizer] });
        await sessions.delete(name);
        // It learns of a resource within half a minute, and tries again with growing pauses.
        await sessions.gone(name, { deadlineMs: 90_000 });
      }
    }).timeout(240_000);

    it('leave those of the Sandbox alone', async () => {
      await sessions.create('owned');
      const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'kube-root-ca.crt', uid: '' };
      const path = `/api/v1/namespaces/${space.name}/configmaps/kube-root-ca.crt`;
      await until('the namespace to have its CA', async () => (await env.client.requestRaw({ path })).status === 200);
      const map = await env.client.request<Session>({ path });
      owner.uid = map.metadata.uid ?? '';
      const answer = sessionIn(await sessions.patch('owned', { metadata: { ownerReferences: [owner] } }));
      expect(answer.metadata.ownerReferences).to.deep.equal([owner]);
      expect((await sessions.sandboxOf('owned')).metadata.ownerReferences).to.deep.equal([owner]);
    });

    it('are all that can be changed of a session whose document is broken, so that it can go', async () => {
      await sessions.create('broken', {}, { finalizers: ['example.com/hold'] });
      await env.asAccount('sojourn-apiserver').request({
        method: 'PATCH',
        path: `/apis/agents.x-k8s.io/v1beta1/namespaces/${space.name}/sandboxes/broken`,
        contentType: mergePatch,
        body: { metadata: { annotations: { [annotations.session]: '{' } } },
      });
      const refused = await sessions.patch('broken', { metadata: { annotations: { a: 'b' } } });
      expect(statusIn(refused).message).to.contain('the stored session cannot be read');
      await sessions.delete('broken');
      expect((await sessions.patch('broken', { metadata: { finalizers: [] } })).status).to.equal(200);
      await sessions.gone('broken');
    });
  });

  it('need a right of their own', async () => {
    await sessions.create('rights');
    const allowed = async (verb: string, person: 'alice' | 'bob') =>
      (await env.kubectlAs(person, ['auth', 'can-i', verb, 'sessions.sojourn.dev', '-n', 'default'])).stdout.trim();
    expect([await allowed('patch', 'alice'), await allowed('update', 'alice')]).to.deep.equal(['yes', 'yes']);
    expect([await allowed('patch', 'bob'), await allowed('update', 'bob')]).to.deep.equal(['no', 'no']);
  });
});
