import { expect } from 'chai';
import { loadClusterConfig } from '../../../apis/client/kubeconfig.ts';
import type { KubeResponse } from '../../../apis/client/transport.ts';
import type { ManagedFieldsEntry } from '../../../apis/machinery/managed-fields/managers.ts';
import type { Status } from '../../../apis/machinery/meta.ts';
import type { Session } from '../../../apis/v1alpha1/types.ts';
import { AgentCubeClients } from '../../proxy/agentcube/clients.ts';
import { callerToken, type SessionList, sessionsPath } from '../../support/caller.ts';
import { useCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';
import { Wire } from '../differential/support/wire.ts';

const applyType = 'application/apply-patch+yaml';
const merge = 'application/merge-patch+json';

describe('managedFields of sessions', () => {
  const env = useCluster();
  const space = env.namespace('ownership');
  const path = (name: string) => `${sessionsPath(space.name)}/${name}`;
  const sessionIn = (answer: KubeResponse) => JSON.parse(answer.body.toString('utf8')) as Session;
  const statusIn = (answer: KubeResponse) => JSON.parse(answer.body.toString('utf8')) as Status;
  const owners = ({ metadata }: Session) => (metadata.managedFields ?? []) as ManagedFieldsEntry[];
  const spec = { runtimeRef: { kind: 'CodeInterpreter', name: 'none' }, suspended: true };
  const manifest = (name: string, metadata: object = {}, change: object = {}) => ({
    apiVersion: 'sojourn.dev/v1alpha1',
    kind: 'Session',
    metadata: { name, ...metadata },
    spec: { ...spec, ...change },
  });
  const create = async (name: string, metadata: object = {}, query: Record<string, string> = {}) =>
    await env.client.requestRaw({
      method: 'POST',
      path: sessionsPath(space.name),
      query,
      headers: { 'user-agent': 'workflow/2.1 (linux)' },
      body: manifest(name, metadata),
    });
  const patch = async (name: string, contentType: string, body: unknown, query: Record<string, string> = {}) =>
    await env.client.requestRaw({ method: 'PATCH', path: path(name), query, contentType, body });
  const apply = async (manager: string, body: ReturnType<typeof manifest>, query: Record<string, string> = {}) =>
    await patch(body.metadata.name, applyType, body, { fieldManager: manager, ...query });
  const read = async (name: string) => await env.client.request<Session>({ path: path(name) });

  it('name the manager of the request, or else the program that sent it', async () => {
    await create('named', {}, { fieldManager: 'me' });
    expect(owners(await read('named')).map(({ manager }) => manager)).to.deep.equal(['me']);
    await create('unnamed');
    expect(owners(await read('unnamed')).map(({ manager }) => manager)).to.deep.equal(['workflow']);
  });

  it('name the proxy where it creates for others', async () => {
    const clients = new AgentCubeClients(env, () => space.name);
    const { owner } = await clients.accounts();
    const body = JSON.stringify({ name: 'py', namespace: space.name });
    const headers = { 'content-type': 'application/json' };
    const answer = await until('the right to create', async () => {
      const tried = await clients.call('/v1/code-interpreter', { token: owner, headers, body });
      return tried.status === 403 ? undefined : tried;
    });
    expect(answer.status, answer.text).to.equal(200);
    const { items } = await env.client.request<SessionList>({ path: sessionsPath(space.name) });
    const { sessionId } = JSON.parse(answer.text) as { sessionId: string };
    const made = items.find(({ metadata }) => metadata.uid === sessionId);
    expect(made && owners(made).map(({ manager }) => manager)).to.deep.equal(['sojourn-proxy']);
  });

  it('are those of the Session, and not of the Sandbox that stores it', async () => {
    await create('own', { labels: { a: '1' } }, { fieldManager: 'me' });
    const [entry] = owners(await read('own'));
    expect(entry).to.include({ operation: 'Update', apiVersion: 'sojourn.dev/v1alpha1', fieldsType: 'FieldsV1' });
    expect(entry?.fieldsV1).to.deep.equal({
      'f:metadata': { 'f:labels': { '.': {}, 'f:a': {} } },
      'f:spec': {
        '.': {},
        'f:idleAction': {},
        'f:idleTimeout': {},
        'f:maxDuration': {},
        'f:runtimeRef': { '.': {}, 'f:kind': {}, 'f:name': {} },
        'f:suspended': {},
      },
    });
  });

  it('are shown by a dry run, which has no effect', async () => {
    const tried = await apply('trying', manifest('tried'), { dryRun: 'All' });
    expect(tried.status).to.equal(201);
    expect(owners(sessionIn(tried)).map(({ manager }) => manager)).to.deep.equal(['trying']);
    expect((await env.client.requestRaw({ path: path('tried') })).status).to.equal(404);
    await create('kept', {}, { fieldManager: 'me' });
    const changed = await patch(
      'kept',
      merge,
      { metadata: { labels: { a: '1' } } },
      { fieldManager: 'you', dryRun: 'All' },
    );
    expect(owners(sessionIn(changed)).map(({ manager }) => manager)).to.have.members(['me', 'you']);
    expect(owners(await read('kept')).map(({ manager }) => manager)).to.deep.equal(['me']);
  });

  it('are given up before a write is refused as too large, but not by an apply', async () => {
    const annotations = Object.fromEntries(
      Array.from({ length: 66 }, (_, index) => [`example.com/note-${index}`, 'x'.repeat(200)]),
    );
    const made = await create('large', { annotations });
    expect(made.status, made.body.toString('utf8')).to.equal(201);
    expect(sessionIn(made).metadata.managedFields).to.equal(undefined);
    const refused = await apply('me', manifest('large-too', { annotations }));
    expect(statusIn(refused)).to.include({ code: 422, reason: 'Invalid' });
    expect(statusIn(refused).message).to.contain('a session may hold 16384 bytes in all');
  });

  it('are right after several have applied at once', async () => {
    await create('crowded');
    const names = ['a', 'b', 'c', 'd', 'e'];
    const answers = await Promise.all(
      names.map(async (name) => await apply(name, manifest('crowded', { labels: { [name]: '1' } }))),
    );
    expect(answers.map(({ status }) => status)).to.deep.equal(names.map(() => 200));
    const session = await read('crowded');
    expect(Object.keys(session.metadata.labels ?? {}).sort()).to.deep.equal(names);
    const appliers = owners(session).filter(({ operation }) => operation === 'Apply');
    expect(appliers.map(({ manager }) => manager).sort()).to.deep.equal(names);
  });

  it('of two who make the same session at once, both are there', async () => {
    const answers = await Promise.all([
      apply('one', manifest('twofold', { labels: { one: '1' } })),
      apply('two', manifest('twofold', { labels: { two: '2' } })),
    ]);
    expect(answers.map(({ status }) => status).sort()).to.deep.equal([200, 201]);
    const session = await read('twofold');
    expect(session.metadata.labels).to.deep.equal({ one: '1', two: '2' });
    expect(owners(session).map(({ manager }) => manager)).to.have.members(['one', 'two']);
  });

  it('survive hostile configurations and managedFields, and so do we', async () => {
    await create('victim', {}, { fieldManager: 'me' });
    const wire = new Wire(await loadClusterConfig(env.cluster.plane.kubeconfigs.admin));
    const raw = async (type: string, body: string) =>
      await wire.send({
        ...{ method: 'PATCH', path: path('victim'), query: { fieldManager: 'x' } },
        ...{ headers: { 'content-type': type }, body },
      });
    let nested = '{}';
    for (let depth = 0; depth < 3000; depth += 1) nested = `{"f:a":${nested}}`;
    const body = `{"metadata":{"managedFields":[{"manager":"x","operation":"Apply","apiVersion":"a/b","fieldsType":"FieldsV1","fieldsV1":${nested}}]}}`;
    const deep = await raw(merge, body);
    expect(deep.status).to.be.oneOf([200, 400, 422]);
    const wide = manifest('victim', {
      finalizers: Array.from({ length: 100_000 }, (_, index) => `example.com/x${index}`),
    });
    expect((await apply('wide', wide)).status).to.equal(422);
    const polluting = JSON.stringify(manifest('victim')).replace('"spec":', '"__proto__":{"polluted":1},"spec":');
    const polluted = await raw(applyType, polluting);
    expect(polluted.status, polluted.text).to.equal(500);
    expect(polluted.text).to.contain('.__proto__: field not declared in schema');
    await wire.close();
    expect(owners(await read('victim')).map(({ manager }) => manager)).to.include('me');
  });

  it('need the right to create where there is nothing to patch yet', async () => {
    const token = await callerToken(env, space.name);
    await env.kubectl([
      'create',
      'role',
      'patcher',
      '-n',
      space.name,
      '--verb=get,patch',
      '--resource=sessions.sojourn.dev',
    ]);
    await env.kubectl(['create', 'serviceaccount', 'patcher', '-n', space.name]);
    const binding = ['create', 'rolebinding', 'patcher', '-n', space.name, '--role=patcher'];
    await env.kubectl([...binding, `--serviceaccount=${space.name}:patcher`]);
    const patcher = (await env.kubectl(['create', 'token', 'patcher', '-n', space.name])).stdout.trim();
    const as = async (bearer: string, name: string) =>
      await env.client.requestRaw({
        ...{ method: 'PATCH', path: path(name), contentType: applyType, token: bearer },
        ...{ query: { fieldManager: 'who' }, body: manifest(name) },
      });
    await create('there');
    const allowed = await until('the right to patch', async () => {
      const tried = await as(patcher, 'there');
      return tried.status === 403 ? undefined : tried;
    });
    expect(allowed.status).to.equal(200);
    const refused = await as(patcher, 'absent');
    expect(statusIn(refused)).to.include({ code: 403, reason: 'Forbidden' });
    expect(statusIn(refused).message).to.contain('cannot create resource "sessions"');
    expect((await as(token, 'absent')).status).to.equal(201);
  });
});
