import { readFile } from 'node:fs/promises';
import { connect } from 'node:http2';
import { expect } from 'chai';
import { readLines } from '../../apis/client/lines.ts';
import type { Status, WatchEvent } from '../../apis/machinery/meta.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import { useCluster } from '../support/cluster.ts';
import { https } from '../support/http.ts';
import { until } from '../support/until.ts';

describe('hostile input to the API server', () => {
  const env = useCluster();
  const space = env.namespace('hostile');
  const path = () => `/apis/sojourn.dev/v1alpha1/namespaces/${space.name}/sessions`;
  const spec = { runtimeRef: { kind: 'CodeInterpreter', name: 'none' } };
  const post = (body: object, query: Record<string, string> = {}) =>
    env.client.requestRaw({
      method: 'POST',
      path: path(),
      query,
      body: { apiVersion: 'sojourn.dev/v1alpha1', kind: 'Session', ...body },
      // Megabytes take a busy machine its time.
      timeoutMs: 60_000,
    });
  const statusOf = (answer: { body: Buffer }) => JSON.parse(answer.body.toString('utf8')) as Status;
  const processOf = () => env.cluster.plane.processes.find(({ name }) => name === 'sojourn-apiserver')?.pid;
  let pid: number | undefined;
  before(() => {
    pid = processOf();
  });
  afterEach('the process still lives', () => {
    expect(processOf()).to.equal(pid);
  });

  it('of a million wrong elements gets a short answer', async () => {
    const bodies = [
      { metadata: { name: 'a', finalizers: Array(700_000).fill('!') }, spec },
      {
        metadata: {
          name: 'a',
          labels: Object.fromEntries(Array.from({ length: 150_000 }, (_, index) => [`!${index}`, '!'])),
        },
        spec,
      },
      { metadata: { name: 'a', finalizers: Array(700_000).fill(1) }, spec },
      { metadata: { name: 'x'.repeat(1_000_000) }, spec },
    ];
    for (const body of bodies) {
      const answer = await post(body);
      expect(answer.status).to.be.oneOf([400, 422]);
      expect(answer.body.length).to.be.lessThan(200_000);
    }
  }).timeout(240_000);

  it('of 100,000 unknown fields is dropped with a few warnings, or refused under Strict', async () => {
    const body = {
      metadata: { name: 'many' },
      spec,
      ...Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`x${index}`, 1])),
    };
    expect((await post(body, { fieldValidation: 'Strict' })).status).to.equal(400);
    expect((await post(body, { fieldValidation: 'Warn' })).status).to.equal(201);
  }).timeout(120_000);

  it('of deep, broken or prototype-shaped JSON gets a 400 or 422 and pollutes nothing', async () => {
    const bodies = [
      '{"metadata":',
      `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
      `{"spec":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}}`,
      '{"__proto__":{"spec":{}},"constructor":{"prototype":{"polluted":true}}}',
      'null',
      '"text"',
      '',
      '\u0000\u0001',
    ];
    for (const body of bodies) {
      const { ca } = env;
      const [cert, key] = await Promise.all([
        readFile(env.cluster.plane.pki.admin.cert),
        readFile(env.cluster.plane.pki.admin.key),
      ]);
      const answer = await https({
        url: `${env.cluster.plane.server}${path()}?fieldValidation=Strict`,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
        ca,
        cert: cert.toString(),
        key: key.toString(),
      });
      expect(answer.status, body.slice(0, 40)).to.be.oneOf([400, 422]);
    }
    expect(({} as { polluted?: boolean }).polluted).to.equal(undefined);
  });

  it('as a selector costs no time', async () => {
    const selectors = [
      `a${'+'.repeat(25_000)}`,
      '!'.repeat(25_000),
      `a in (${'b,'.repeat(12_000)}c)`,
      '\\'.repeat(25_000),
    ];
    for (const selector of selectors) {
      for (const kind of ['fieldSelector', 'labelSelector']) {
        const tookMs: number[] = [];
        while (tookMs.length < 3) {
          const began = performance.now();
          const answer = await env.client.requestRaw({ path: path(), query: { [kind]: selector } });
          tookMs.push(performance.now() - began);
          // A selector of 12,000 values is long, and nothing else.
          expect(answer.status).to.equal(selector.startsWith('a in') && kind === 'labelSelector' ? 200 : 400);
        }
        // A busy machine may hold up any of them; a selector that costs time costs it every time.
        expect(Math.min(...tookMs), JSON.stringify(tookMs)).to.be.lessThan(2_000);
      }
    }
  });

  it('as a huge header fails that one request and no watch of others', async () => {
    const abort = new AbortController();
    const stream = await env.client.stream({
      path: path(),
      query: { watch: 'true', resourceVersion: '0' },
      signal: abort.signal,
    });
    let ended = false;
    stream.body.on('close', () => {
      ended = true;
    });
    const events: WatchEvent<Session>[] = [];
    const reading = (async () => {
      for await (const line of readLines(stream.body))
        events.push(JSON.parse(line.toString('utf8')) as WatchEvent<Session>);
    })().catch((error: unknown) => {
      if (!abort.signal.aborted) throw error;
    });
    const answer = await env.client.requestRaw({
      path: '/apis/sojourn.dev/v1alpha1',
      headers: { 'x-junk': 'x'.repeat(140_000) },
    });
    expect(answer.status).to.be.greaterThan(399);
    await post({ metadata: { name: 'after-header' }, spec });
    await until('the watch to go on', () => events.some(({ object }) => object.metadata.name === 'after-header'));
    expect(ended).to.equal(false);
    abort.abort();
    await reading;
  });

  it('cannot make a session too large for its watchers, in whatever field', async () => {
    const big = 'x'.repeat(1_150_000);
    const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: big, uid: 'u' };
    expect((await post({ metadata: { name: 'big', ownerReferences: [owner] }, spec })).status).to.equal(422);
    const labels = Object.fromEntries(Array.from({ length: 8000 }, (_, index) => [`l${index}`, 'v']));
    expect((await post({ metadata: { name: 'big', labels }, spec })).status).to.equal(422);
  });

  it('cannot name finalizers as they are stored', async () => {
    for (const finalizer of ['sojourn.dev/foregroundDeletion', 'sojourn.dev/orphan']) {
      const answer = await post({ metadata: { name: 'held', finalizers: [finalizer] }, spec });
      expect(statusOf(answer)).to.include({ code: 422, reason: 'Invalid' });
      expect(statusOf(answer).message).to.contain('is how another finalizer is stored');
    }
  });

  it('as a watch of a state of megabytes is served at the reader’s pace, to its end', async function () {
    this.timeout(180_000);
    const annotations = { filler: 'x'.repeat(14_000) };
    const names = Array.from({ length: 100 }, (_, index) => `wide-${index}`);
    await Promise.all(names.map((name) => post({ metadata: { name, annotations, labels: { wide: 'yes' } }, spec })));
    for (const start of [
      { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan', allowWatchBookmarks: 'true' },
      // The cache may get some of them late; nothing marks the end of its state.
      { resourceVersion: '0', timeoutSeconds: '60' },
    ]) {
      const abort = new AbortController();
      const query = { watch: 'true', labelSelector: 'wide=yes', ...start };
      const stream = await env.client.stream({ path: path(), query, signal: abort.signal });
      const seen = new Set<string>();
      for await (const line of readLines(stream.body)) {
        const event = JSON.parse(line.toString('utf8')) as WatchEvent<Session>;
        if (event.type === 'BOOKMARK') break;
        seen.add(event.object.metadata.name ?? '');
        if (seen.size === names.length && !('sendInitialEvents' in start)) break;
      }
      abort.abort();
      expect(seen.size).to.equal(names.length);
    }
  });

  it('as timeouts are refused or bounded', async () => {
    const bad = await env.client.requestRaw({ path: path(), query: { watch: 'true', timeoutSeconds: 'abc' } });
    expect(bad.status).to.equal(400);
    const abort = new AbortController();
    const stream = await env.client.stream({
      path: path(),
      query: { watch: 'true', timeoutSeconds: '99999999999', resourceVersion: '0', labelSelector: 'wide!=yes' },
      signal: abort.signal,
    });
    let isOver = false;
    stream.body.on('end', () => {
      isOver = true;
    });
    stream.body.resume();
    await post({ metadata: { name: 'later' }, spec });
    await until(
      'later to be there',
      async () => (await env.client.requestRaw({ path: `${path()}/later` })).status === 200,
    );
    expect(isOver).to.equal(false);
    abort.abort();
    stream.body.on('error', () => undefined);
  });

  it('as a runtime of nonsense durations is refused when it is applied', async () => {
    for (const duration of ['abc', '99999999999999999999999999999999999999999999999999999999999999999h', '-5m']) {
      const answer = await env.client.requestRaw({
        method: 'POST',
        path: `/apis/runtime.agentcube.volcano.sh/v1alpha1/namespaces/${space.name}/codeinterpreters`,
        body: {
          apiVersion: 'runtime.agentcube.volcano.sh/v1alpha1',
          kind: 'CodeInterpreter',
          metadata: { name: 'nonsense' },
          spec: { maxSessionDuration: duration, template: { image: 'local/none' } },
        },
      });
      expect(answer.status, duration).to.equal(422);
    }
  });

  it('as a flood of requests that are given up leaves it as it was', async function () {
    this.timeout(60_000);
    const { cert, key } = env.cluster.plane.pki.frontProxyClient;
    const session = connect(env.cluster.apiserverUrl, {
      ca: env.ca,
      cert: await readFile(cert),
      key: await readFile(key),
    });
    const user = { 'x-remote-user': 'admin', 'x-remote-group': 'system:masters' };
    for (let index = 0; index < 300; index += 1) {
      const stream = session.request({ ':path': `${path()}?watch=true`, ...user });
      stream.on('error', () => undefined);
      stream.close();
    }
    await post({ metadata: { name: 'still-here' }, spec });
    const { status } = await env.client.requestRaw({ path: `${path()}/still-here` });
    expect(status).to.equal(200);
    session.close();
  });
});
