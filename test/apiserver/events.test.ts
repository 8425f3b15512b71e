import { expect } from 'chai';
import { sandboxApi } from '../../apis/names.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { createRuntime } from '../../hack/cluster/runtimes.ts';
import { type CoreEvent, endedReason } from '../../proxy/invocation/endings/session-event.ts';
import { createSession, sessionsPath, untilReady } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';
import { until } from '../support/until.ts';

describe('Events of sessions', () => {
  const env = useCluster();
  const space = env.namespace('events');
  const collection = () => sessionsPath(space.name);

  async function create(name: string, runtime = 'none', spec: object = {}, metadata: object = {}): Promise<Session> {
    return await createSession(env, space.name, { name, runtime, spec, metadata });
  }

  async function eventsOf(name: string): Promise<CoreEvent[]> {
    const { items } = await env.client.request<{ items: CoreEvent[] }>({
      path: `/api/v1/namespaces/${space.name}/events`,
      query: { fieldSelector: `involvedObject.kind=Session,involvedObject.name=${name}` },
    });
    return items;
  }

  async function event(name: string, reason: string): Promise<CoreEvent> {
    return await until(`the Event ${reason} of ${name}`, async () =>
      (await eventsOf(name)).find((candidate) => candidate.reason === reason),
    );
  }

  before(async () => {
    const template = { image: 'registry.example/absent:1' };
    await createRuntime(env.client, space.name, { name: 'absent', spec: { authMode: 'sojourn', template } });
  });

  it('tell of the creation, the kind of start and for whom it was', async () => {
    const { metadata } = await create('born');
    const created = await event('born', 'Created');
    expect(created.message).to.match(/^Cold start of CodeInterpreter none for .+/);
    expect(created.involvedObject).to.deep.equal({
      apiVersion: 'sojourn.dev/v1alpha1',
      kind: 'Session',
      namespace: space.name,
      name: 'born',
      uid: metadata.uid,
    });
  });

  it('are shown by kubectl describe and kubectl events', async () => {
    await create('described');
    await event('described', 'Created');
    const describe = await env.kubectl(['describe', 'session', 'described', '-n', space.name]);
    expect(describe.stdout).to.match(/Events:[\s\S]*Normal +Created[\s\S]*Cold start of CodeInterpreter none/);
    const events = await env.kubectl(['events', '--for', 'session/described', '-n', space.name]);
    expect(events.stdout).to.match(/Normal +Created +Session\/described +Cold start/);
    for (const person of ['alice', 'bob'] as const) {
      const may = await env.kubectlAs(person, ['auth', 'can-i', 'list', 'events', '-n', 'default']);
      expect(may.stdout.trim(), person).to.equal('yes');
    }
  });

  it('tell once why a Pod does not run, in the container’s words', async () => {
    await create('failing', 'absent');
    // Whoever only saw the Pod fail may come first, and with another reason than whoever has recorded one.
    const { failed, session, condition } = await until('the recorded reason to be told', async () => {
      const read = await env.client.request<Session>({ path: `${collection()}/failing` });
      const ready = read.status?.conditions?.find(({ type }) => type === 'Ready');
      const told = (await eventsOf('failing')).find(
        ({ reason, message }) => reason === 'Failed' && message.startsWith(`${ready?.reason}: `),
      );
      return told === undefined ? undefined : { failed: told, session: read, condition: ready };
    });
    expect(failed.type).to.equal('Warning');
    expect(failed.message).to.match(
      /^(ErrImagePull|ImagePullBackOff): container "[^"]+": .*registry\.example\/absent:1/,
    );
    expect(session.status?.phase).to.equal('Pending');
    expect(condition).to.include({ status: 'False' });
    const described = await env.kubectl(['describe', 'session', 'failing', '-n', space.name]);
    expect(described.stdout)
      .to.contain(condition?.reason)
      .and.to.match(/Message: .*registry\.example\/absent:1/);
  });

  it('tell who deleted a session, at once', async () => {
    const { metadata } = await create('deleted');
    await env.kubectl(['delete', 'session', 'deleted', '-n', space.name]);
    const ended = await event('deleted', endedReason);
    expect(ended.metadata.name).to.equal(`deleted.${metadata.uid?.slice(0, 8)}.ended`);
    expect(ended.message).to.match(/^Deleted: it was deleted by .+/);
    expect(ended.related).to.include({ kind: 'CodeInterpreter', name: 'none' });
  });

  it('tell who deleted each session of a collection', async () => {
    await create('one', 'none', {}, { labels: { run: '42' } });
    await create('two', 'none', {}, { labels: { run: '42' } });
    await env.kubectl(['delete', 'sessions', '-l', 'run=42', '-n', space.name]);
    for (const name of ['one', 'two']) expect((await event(name, endedReason)).message).to.contain('deleted by ');
  });

  it('tell of the end of a session that a finalizer held only when it has come', async () => {
    await create('held', 'none', {}, { finalizers: ['example.com/hold'] });
    await env.client.request({ method: 'DELETE', path: `${collection()}/held` });
    await event('held', 'Created');
    expect((await eventsOf('held')).map(({ reason }) => reason)).to.deep.equal(['Created']);
    await env.client.request({
      method: 'PATCH',
      path: `${sandboxApi.path}/namespaces/${space.name}/sandboxes/held`,
      contentType: 'application/merge-patch+json',
      body: { metadata: { finalizers: null } },
    });
    expect((await event('held', endedReason)).message).to.contain('it was deleted by ');
  });

  it('tell of the end of a session whose time was over, and which time', async function () {
    this.timeout(90_000);
    await create('short', 'none', { idleTimeout: '5s', maxDuration: '5s' });
    await create('idle', 'none', { idleTimeout: '5s' });
    expect((await event('short', endedReason)).message).to.equal('MaxDuration: its maxDuration of 5s was over');
    expect((await event('idle', endedReason)).message).to.equal(
      'IdleTimeout: it was idle for longer than its idleTimeout of 5s',
    );
  });

  it('tell when the pool took its member back, and when a Sandbox was deleted under its session', async function () {
    this.timeout(90_000);
    await create('taken');
    await create('warm');
    const path = `${sandboxApi.path}/namespaces/${space.name}/sandboxes`;
    const asApiserver = {
      'impersonate-user': 'system:serviceaccount:sojourn-system:sojourn-apiserver',
      'impersonate-group': 'system:masters',
    };
    const { metadata } = await env.client.request<{ metadata: { annotations: Record<string, string> } }>({
      path: `${path}/warm`,
    });
    const document = metadata.annotations['sojourn.dev/session']?.replace('"start":"Cold"', '"start":"Warm"');
    await env.client.request({
      method: 'PATCH',
      path: `${path}/warm`,
      contentType: 'application/merge-patch+json',
      headers: asApiserver,
      body: { metadata: { annotations: { 'sojourn.dev/session': document } } },
    });
    for (const name of ['taken', 'warm']) await env.client.request({ method: 'DELETE', path: `${path}/${name}` });
    expect((await event('warm', endedReason)).message).to.match(/^PoolMemberDeleted: its pool deleted/);
    expect((await event('taken', endedReason)).message).to.equal('Deleted: it was deleted');
  });

  it('tell of a suspension and of the resume, why, and within a second or two', async function () {
    this.timeout(240_000);
    const written: Record<'Suspended' | 'Resumed', number[]> = { Suspended: [], Resumed: [] };
    const fastest = () => Object.values(written).map((all) => Math.min(...all));
    // Whoever only saw it waits for three seconds at least, always; a busy machine may do so as well, now and then.
    const soonMs = 2_900;
    for (let round = 0; round < 3 && fastest().some((ms) => ms >= soonMs); round += 1) {
      const name = `sleeper-${round}`;
      await create(name);
      await untilReady(env, space.name, name);
      for (const [suspended, phase, reason, message] of [
        [true, 'Suspended', 'Suspended', 'Suspended because spec.suspended is true'],
        [false, 'Ready', 'Resumed', 'Ready again because spec.suspended was set to false'],
      ] as const) {
        const patch = JSON.stringify({ spec: { suspended } });
        await env.kubectl(['patch', 'session', name, '-n', space.name, '--type=merge', '-p', patch]);
        await until(`${name} to be ${phase}`, async () => {
          const session = await env.client.request<Session>({ path: `${collection()}/${name}` });
          return session.status?.phase === phase;
        });
        const since = performance.now();
        expect((await event(name, reason)).message).to.equal(message);
        written[reason].push(performance.now() - since);
      }
    }
    expect(Math.max(...fastest()), JSON.stringify(written)).to.be.lessThan(soonMs);
  });

  it('tell of a session that is created suspended that it does not start, and of its start', async function () {
    this.timeout(120_000);
    await create('unborn', 'none', { suspended: true });
    expect((await event('unborn', 'Created')).message).to.match(
      /^Created suspended of CodeInterpreter none for .+; it starts when spec.suspended is set to false$/,
    );
    await env.client.request({
      method: 'PATCH',
      path: `${collection()}/unborn`,
      contentType: 'application/merge-patch+json',
      body: { spec: { suspended: false } },
    });
    await untilReady(env, space.name, 'unborn');
    expect((await event('unborn', 'Resumed')).message).to.equal('Ready again because spec.suspended was set to false');
    const session = await env.client.request<Session>({ path: `${collection()}/unborn` });
    expect(session.status?.conditions?.filter(({ message }) => message === '')).to.deep.equal([]);
  });

  it('tell nothing of what was only tried', async () => {
    const body = {
      apiVersion: 'sojourn.dev/v1alpha1',
      kind: 'Session',
      metadata: { name: 'tried' },
      spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'none' } },
    };
    await env.client.request({ method: 'POST', path: collection(), query: { dryRun: 'All' }, body });
    await create('kept');
    await env.client.request({ method: 'DELETE', path: `${collection()}/kept`, query: { dryRun: 'All' } });
    await event('kept', 'Created');
    expect((await eventsOf('kept')).length).to.equal(1);
    expect(await eventsOf('tried')).to.deep.equal([]);
  });

  it('come once each, however many processes have seen the same', async () => {
    const { items } = await env.client.request<{ items: CoreEvent[] }>({
      path: `/api/v1/namespaces/${space.name}/events`,
      query: { fieldSelector: 'involvedObject.kind=Session' },
    });
    // A failing Pod may have several reasons one after the other, each told once.
    const told = items.map(({ involvedObject, reason, message }) => `${involvedObject.name} ${reason} ${message}`);
    expect(told.filter((text, at) => told.indexOf(text) !== at)).to.deep.equal([]);
    expect(items.every(({ count }) => count === 1)).to.equal(true);
  });
});
