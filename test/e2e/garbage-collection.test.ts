import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { finalizers } from '../../apis/names.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { useCluster } from '../support/cluster.ts';
import { until } from '../support/until.ts';
import { Collected, hold, ownedBy } from './support/collected.ts';

const held = { finalizers: [hold] };
const suspended = { suspended: true } as const;

describe('the garbage collector of kube-controller-manager', function () {
  this.timeout(200_000);
  const env = useCluster();
  const space = env.namespace('collected');
  const objects = new Collected(env, () => space.name);
  let logBegin = 0;

  const managerLog = async () =>
    await readFile(join(env.cluster.plane.dir, 'logs', 'kube-controller-manager.log'), 'utf8');

  before(async () => {
    logBegin = (await managerLog()).length;
  });

  describe('when the owner of sessions is deleted', () => {
    it('deletes them, and their Pods', async () => {
      const owner = await objects.createConfigMap('owner');
      await objects.createSession('a1', ownedBy(owner));
      await objects.createSession('a2', ownedBy(owner));
      await objects.delete(objects.configMap('owner'), 'Background');
      for (const name of ['a1', 'a2']) {
        await objects.gone(objects.session(name));
        await objects.gone(objects.pod(name));
      }
    });

    it('in the foreground, lets it go after them', async () => {
      const owner = await objects.createConfigMap('waiting-owner');
      await objects.createSession('b1', { ...ownedBy(owner), ...held }, suspended);
      await objects.delete(objects.configMap('waiting-owner'), 'Foreground');
      await objects.terminating(objects.session('b1'));
      expect(await objects.read(objects.configMap('waiting-owner'))).not.to.equal(undefined);
      await objects.release(objects.session('b1'));
      await objects.gone(objects.configMap('waiting-owner'));
      expect(await objects.read(objects.session('b1'))).to.equal(undefined);
    });

    it('and they are to be orphaned, leaves them without it', async () => {
      const owner = await objects.createConfigMap('leaving-owner');
      await objects.createSession('c1', ownedBy(owner), suspended);
      await objects.delete(objects.configMap('leaving-owner'), 'Orphan');
      await objects.gone(objects.configMap('leaving-owner'));
      await objects.disowned(objects.session('c1'));
      expect((await objects.read<Session>(objects.session('c1')))?.status?.phase).to.equal('Suspended');
    });

    it('deletes what is owned by those sessions too', async () => {
      const owner = await objects.createConfigMap('grandparent');
      const session = await objects.createSession('d1', ownedBy(owner), suspended);
      const child = await objects.createSession('d2', ownedBy(session), suspended);
      await objects.createConfigMap('grandchild', ownedBy(child));
      await objects.delete(objects.configMap('grandparent'), 'Background');
      await objects.gone(objects.configMap('grandchild'));
      await objects.gone(objects.session('d2'));
    });
  });

  describe('when a session is deleted', () => {
    it('deletes what it owns', async () => {
      const session = await objects.createSession('e1', {}, suspended);
      await objects.createConfigMap('e-owned', ownedBy(session));
      expect((await objects.delete(objects.session('e1'), 'Background')).status).to.equal(200);
      await objects.gone(objects.configMap('e-owned'));
    });

    it('in the foreground, lets it go after what it owns, and does not wait for its Pod', async () => {
      const session = await objects.createSession('f1');
      await objects.createConfigMap('f-owned', { ...ownedBy(session), ...held });
      await objects.patch(objects.pod('f1'), { metadata: { finalizers: [hold] } });
      const answer = await objects.delete(objects.session('f1'), 'Foreground');
      const { metadata } = JSON.parse(answer.body.toString('utf8')) as Session;
      expect(metadata.finalizers).to.deep.equal(['foregroundDeletion']);
      expect(metadata.deletionTimestamp).to.be.a('string');
      expect(metadata.generation).to.equal(2);
      await objects.terminating(objects.configMap('f-owned'));
      expect((await objects.read<Session>(objects.session('f1')))?.status?.phase).to.equal('Terminating');
      await objects.release(objects.configMap('f-owned'));
      await objects.gone(objects.session('f1'));
      await objects.terminating(objects.pod('f1'));
      await objects.release(objects.pod('f1'));
      await objects.gone(objects.pod('f1'));
    });

    it('in the foreground, by kubectl, which waits', async () => {
      const session = await objects.createSession('g1');
      await objects.createConfigMap('g-owned', ownedBy(session));
      const deleted = await env.kubectl([
        'delete',
        'session',
        'g1',
        '-n',
        space.name,
        '--cascade=foreground',
        '--timeout=60s',
      ]);
      expect(deleted.code, deleted.stderr).to.equal(0);
      expect(await objects.read(objects.configMap('g-owned'))).to.equal(undefined);
    });

    it('and what it owns is to be orphaned, leaves that without it, and no Pod', async () => {
      const session = await objects.createSession('h1');
      await objects.createConfigMap('h-owned', ownedBy(session));
      const deleted = await env.kubectl([
        'delete',
        'session',
        'h1',
        '-n',
        space.name,
        '--cascade=orphan',
        '--timeout=60s',
      ]);
      expect(deleted.code, deleted.stderr).to.equal(0);
      await objects.gone(objects.pod('h1'));
      await objects.disowned(objects.configMap('h-owned'));
      expect(await objects.read(objects.configMap('h-owned'))).not.to.equal(undefined);
    });

    it('again and in another way, takes what the first way left to wait for', async () => {
      const session = await objects.createSession('i1', {}, suspended);
      await objects.createConfigMap('i-owned', { ...ownedBy(session), ...held });
      await objects.delete(objects.session('i1'), 'Foreground');
      await objects.terminating(objects.configMap('i-owned'));
      expect(await objects.read(objects.session('i1'))).not.to.equal(undefined);
      const second = await objects.delete(objects.session('i1'), 'Background');
      expect((JSON.parse(second.body.toString('utf8')) as { status?: string }).status).to.equal('Success');
      expect(await objects.read(objects.session('i1'))).to.equal(undefined);
      await objects.release(objects.configMap('i-owned'));
    });

    it('again, asking for what is too late, it says so', async () => {
      await objects.createSession('j1', held, suspended);
      await objects.delete(objects.session('j1'), 'Background');
      const second = await objects.delete(objects.session('j1'), 'Orphan');
      expect(second.status).to.equal(200);
      expect(second.headers.warning).to.contain('cannot be asked for any more');
      expect((await objects.read<Session>(objects.session('j1')))?.metadata.finalizers).to.deep.equal([hold]);
      await objects.release(objects.session('j1'));
      await objects.gone(objects.session('j1'));
    });
  });

  describe('when the API server died between the two writes of a delete', () => {
    /** As it is then: the finalizer is written, and nothing is deleted. */
    const leave = async (name: string, finalizer: string) =>
      await env.asAccount('sojourn-apiserver').request({
        method: 'PATCH',
        path: objects.sandbox(name),
        contentType: 'application/merge-patch+json',
        body: { metadata: { finalizers: [finalizer] } },
      });

    it('nothing has happened to the session, and the next delete completes', async () => {
      const session = await objects.createSession('k1', {}, suspended);
      await objects.createConfigMap('k-owned', ownedBy(session));
      await leave('k1', finalizers.foregroundDeletion);
      const shown = await objects.read<Session>(objects.session('k1'));
      expect(shown?.metadata.finalizers).to.deep.equal(['foregroundDeletion']);
      expect(shown?.metadata.deletionTimestamp).to.equal(undefined);
      expect((await objects.delete(objects.session('k1'), 'Foreground')).status).to.equal(200);
      await objects.gone(objects.session('k1'));
      await objects.gone(objects.configMap('k-owned'));
    });

    it('a delete in the background takes the finalizer away first', async () => {
      const session = await objects.createSession('k2', {}, suspended);
      await objects.createConfigMap('k2-owned', ownedBy(session));
      await leave('k2', finalizers.orphan);
      const answer = await objects.delete(objects.session('k2'), 'Background');
      expect((JSON.parse(answer.body.toString('utf8')) as { status?: string }).status).to.equal('Success');
      await objects.gone(objects.configMap('k2-owned'));
    });

    it('a delete of its Sandbox by whoever completes too', async () => {
      const session = await objects.createSession('k3', {}, suspended);
      await objects.createConfigMap('k3-owned', ownedBy(session));
      await leave('k3', finalizers.orphan);
      await objects.delete(objects.sandbox('k3'));
      await objects.gone(objects.session('k3'));
      await objects.disowned(objects.configMap('k3-owned'));
    });

    it('however often it is killed, no session is stuck', async () => {
      const names = Array.from({ length: 9 }, (_, index) => `l${index}`);
      await Promise.all(names.map((name) => objects.createSession(name, {}, suspended)));
      for (const [index, name] of names.entries()) {
        // Whichever is on its way may be cut off.
        const answer = objects
          .delete(objects.session(name), index % 2 === 0 ? 'Foreground' : 'Orphan')
          .catch(() => undefined);
        if (index % 3 !== 2) continue;
        await Promise.all([env.kill('sojourn-apiserver'), answer]);
        await env.cluster.sojourn.startApiserver();
        await until(
          'sessions to be served',
          async () => (await env.client.requestRaw({ path: objects.session('none') })).status === 404,
          { deadlineMs: 40_000 },
        );
      }
      for (const name of names) {
        expect((await objects.delete(objects.session(name), 'Foreground')).status).to.be.oneOf([200, 404]);
        await objects.gone(objects.session(name));
      }
    });
  });

  describe('when a Sandbox is deleted by hand', () => {
    const kubectlDelete = async (name: string, cascade: string) =>
      await env.kubectl(['delete', 'sandbox', name, '-n', space.name, `--cascade=${cascade}`, '--timeout=60s']);

    it('in the foreground, its session shows no finalizer that is not its own, and goes with the Pod', async () => {
      const session = await objects.createSession('m1');
      await objects.createConfigMap('m-owned', ownedBy(session));
      await objects.heardOfPods();
      await objects.patch(objects.pod('m1'), { metadata: { finalizers: [hold] } });
      const deleted = kubectlDelete('m1', 'foreground');
      await objects.terminating(objects.session('m1'));
      const shown = await objects.read<Session>(objects.session('m1'));
      expect(shown?.status?.phase).to.equal('Terminating');
      expect(shown?.metadata.finalizers).to.equal(undefined);
      expect((await objects.delete(objects.session('m1'), 'Background')).status).to.equal(200);
      const { metadata } = (await objects.read(objects.sandbox('m1'))) as Sandbox;
      expect(metadata.finalizers).to.deep.equal(['foregroundDeletion']);
      await objects.terminating(objects.pod('m1'));
      await objects.release(objects.pod('m1'));
      expect((await deleted).code).to.equal(0);
      await objects.gone(objects.session('m1'));
      await objects.gone(objects.configMap('m-owned'));
    });

    it('and its Pod is to be orphaned, the session goes with what it owns, and the Pod runs on', async () => {
      const session = await objects.createSession('n1');
      await objects.createConfigMap('n-owned', ownedBy(session));
      await objects.heardOfPods();
      expect((await kubectlDelete('n1', 'orphan')).code).to.equal(0);
      await objects.gone(objects.session('n1'));
      await objects.gone(objects.configMap('n-owned'));
      const pod = await objects.read(objects.pod('n1'));
      expect(pod?.metadata.deletionTimestamp).to.equal(undefined);
      expect(pod?.metadata.ownerReferences).to.equal(undefined);
    });
  });

  describe('afterwards', () => {
    it('has complained of nothing but of what it tries again', async () => {
      const complaints = (await managerLog())
        .slice(logBegin)
        .split('\n')
        .filter(
          (line) =>
            /^[EW].* (garbagecollector|graph_builder|operations)\.go/.test(line) && /sojourn|sessions/.test(line),
        )
        // It patches what it has read, and reads again when somebody was faster, as of any resource.
        .filter((line) => !line.includes('the object has been modified; please apply your changes'))
        // And while there was no API server.
        .filter((line) => !line.includes('the server is currently unable to handle the request'));
      expect(complaints).to.deep.equal([]);
    });
  });
});
