import { expect } from 'chai';
import type { KubeResponse } from '../../../apis/client/transport.ts';
import type { Status } from '../../../apis/machinery/meta.ts';
import { annotations } from '../../../apis/names.ts';
import type { Sandbox } from '../../../apis/v1alpha1/sandbox.ts';
import type { SessionList } from '../../support/caller.ts';
import { useCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';
import { Pools, readSession, sessionBody } from './support/pools.ts';
import { useTwoApiservers } from './support/replicas.ts';

describe('an Idempotency-Key', () => {
  const env = useCluster();
  const space = env.namespace('idempotency');
  const servers = useTwoApiservers(env);
  const pools = Pools.of(env, space);
  before(async function () {
    this.timeout(120_000);
    await pools.createRuntime({ name: 'w', size: 4 });
    await pools.warm('w', 4);
  });

  const keyed = async (key: string, options: Parameters<Pools['post']>[1] & { runtime?: string } = {}) =>
    await pools.post(options.runtime ?? 'w', { ...options, headers: { 'idempotency-key': key } });
  const codeAndName = (answer: KubeResponse) => [answer.status, readSession(answer).metadata.name];
  const sessions = async () => {
    const { items } = await env.client.request<SessionList>({ path: pools.sessionsPath });
    return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  };

  for (const [start, runtime] of [
    ['warm', 'w'],
    ['cold', 'none'],
  ] as const) {
    it(`makes a retry find the ${start} session of the first request`, async () => {
      const first = await keyed(`one-${start}`, { runtime, metadata: { generateName: `${runtime}-` } });
      expect(first.status).to.equal(201);
      expect(readSession(first).status?.start?.toLowerCase()).to.equal(start);
      const again = await keyed(`one-${start}`, { runtime, metadata: { generateName: `${runtime}-` } });
      expect(codeAndName(again)).to.deep.equal([200, readSession(first).metadata.name]);
      expect(readSession(again).metadata.uid).to.equal(readSession(first).metadata.uid);
      const other = await keyed(`two-${start}`, { runtime, metadata: { generateName: `${runtime}-` } });
      expect(readSession(other).metadata.uid).not.to.equal(readSession(first).metadata.uid);
    });
  }

  it('belongs to its user and namespace, and is not shown', async () => {
    const first = readSession(await keyed('shared'));
    const binding = [
      'create',
      'rolebinding',
      'carol',
      '-n',
      space.name,
      '--clusterrole=sojourn-session-user',
      '--user=carol',
    ];
    await env.kubectl(binding);
    const [server] = servers.both;
    const answer = await until('carol to have her right', async () => {
      const tried = await server.client.requestRaw({
        method: 'POST',
        path: pools.sessionsPath,
        headers: { 'x-remote-user': 'carol', 'idempotency-key': 'shared' },
        body: sessionBody('w', { generateName: 'w-' }),
      });
      return tried.status === 403 ? undefined : tried;
    });
    expect(answer.status).to.equal(201);
    expect(readSession(answer).metadata.uid).not.to.equal(first.metadata.uid);
    const stored = await env.kubectl(['get', 'sandbox', first.metadata.name ?? '', '-n', space.name, '-o', 'yaml']);
    expect(stored.stdout)
      .to.match(/sojourn\.dev\/idempotency-key: [0-9a-f]{40}\n/)
      .and.not.to.contain('shared');
    expect(JSON.stringify(first)).not.to.contain('sojourn.dev/idempotency');
  });

  it('stands for one request: 422 for another one', async () => {
    const first = readSession(await keyed('fixed'));
    for (const options of [{ spec: { idleTimeout: '5m' } }, { metadata: { generateName: 'w-', labels: { a: 'b' } } }]) {
      const { status, body } = await keyed('fixed', options);
      const { message } = JSON.parse(body.toString()) as Status;
      expect([status, message]).to.satisfy(
        ([code, text]: [number, string]) =>
          code === 422 &&
          /^Session.sojourn.dev "w-" is invalid: .*another request was sent with this Idempotency-Key; use a new key$/.test(
            text,
          ),
      );
      expect(message).not.to.contain(first.metadata.name);
    }
  });

  it('must be something that a header can hold', async () => {
    expect((await keyed('with space')).status).to.equal(400);
    expect((await keyed('x'.repeat(256))).status).to.equal(400);
  });

  it('finds the session although its runtime is gone, and is free again when the session is gone', async () => {
    await pools.createRuntime({ name: 'short' });
    const options = { runtime: 'short', metadata: { generateName: 'short-' } };
    const first = readSession(await keyed('gone', options));
    await pools.deleteRuntime('short');
    // Runtimes are seen by a watch: for a moment this one may still be there.
    const tried = async () => (await keyed('other', { ...options, query: { dryRun: 'All' } })).status;
    await until('the runtime to go', async () => (await tried()) === 404);
    expect(codeAndName(await keyed('gone', options))).to.deep.equal([200, first.metadata.name]);
    await env.client.request({ method: 'DELETE', path: `${pools.sessionsPath}/${first.metadata.name}` });
    expect((await keyed('gone', options)).status).to.equal(404);
  });

  it('with a full name tells a retry from a name that is taken', async () => {
    const first = await keyed('named', { metadata: { name: 'named' } });
    expect(first.status).to.equal(201);
    expect(codeAndName(await keyed('named', { metadata: { name: 'named' } }))).to.deep.equal([200, 'named']);
    expect((await keyed('another', { metadata: { name: 'named' } })).status).to.equal(409);
  });

  it('leaves nothing behind on a dry run', async () => {
    expect((await keyed('dry', { query: { dryRun: 'All' } })).status).to.equal(201);
    const first = await keyed('dry');
    expect(first.status).to.equal(201);
    const { name = '' } = readSession(first).metadata;
    const stored = async () => await env.client.request<Sandbox>({ path: pools.sandboxPath(name) });
    const before = await stored();
    const again = await keyed('dry', { query: { dryRun: 'All' } });
    expect(codeAndName(again)).to.deep.equal([200, name]);
    expect((await keyed('dry', { query: { dryRun: 'All' }, spec: { idleTimeout: '5m' } })).status).to.equal(422);
    const after = await stored();
    expect(after.metadata.annotations).to.deep.equal(before.metadata.annotations);
    expect(after.metadata.labels).to.deep.equal(before.metadata.labels);
    // What is not dry leaves its mark, so that the session is not taken back any more.
    expect(codeAndName(await keyed('dry'))).to.deep.equal([200, name]);
    expect((await stored()).metadata.annotations).to.have.property(annotations.retried);
  });

  for (const [start, runtime] of [
    ['warm', 'w'],
    ['cold', 'none'],
  ] as const) {
    it(`gives many ${start} requests at once, on two API servers, one session`, async function () {
      this.timeout(360_000);
      for (let turn = 0; turn < 8; turn += 1) {
        if (start === 'warm') await pools.full('w', 4);
        const before = (await sessions()).length;
        const answers = await Promise.all(
          Array.from({ length: turn % 3 === 0 ? 2 : 8 }, async (_, index) => {
            const { client, headers } = servers.both[index % 2] ?? servers.both[0];
            // Who is told to try again, because others take their time, does so.
            return await until('an answer', async () => {
              const answer = await client.requestRaw({
                method: 'POST',
                path: pools.sessionsPath,
                headers: { ...headers, 'idempotency-key': `at-once-${start}-${turn}` },
                body: sessionBody(runtime, { generateName: `${runtime}-` }),
              });
              return answer.status === 409 && answer.headers['retry-after'] !== undefined ? undefined : answer;
            });
          }),
        );
        const uids = new Set(answers.map((answer) => readSession(answer).metadata.uid));
        expect(uids.size, JSON.stringify(answers.map(codeAndName))).to.equal(1);
        const now = await sessions();
        expect(now.map(({ metadata }) => metadata.uid)).to.include([...uids][0]);
        expect(now.length - before).to.equal(1);
      }
    });
  }
});
