import type { ServerResponse } from 'node:http';
import { expect } from 'chai';
import { defaultSettings, type InvocationSettings } from '../../proxy/invocation/flags.ts';
import { useControlPlane, useNamespace } from '../support/control-plane.ts';
import { until } from '../support/until.ts';
import { Cleanup } from './support/cleanup.ts';
import { requestText, startGateway, type TestGateway } from './support/gateway.ts';
import { codeOf, jsonOf, RawClient } from './support/raw-client.ts';
import { TestSessions } from './support/sessions.ts';
import { startRawUpstream, startUpstream, type Upstream } from './support/upstream.ts';

const never = { idleMs: 0, totalMs: 0 };
/** Time enough for a busy machine to get a call into its sandbox, and for a lively stream to be seen as such. */
const soonMs = 2_000;

describe('time limits of a call', () => {
  const plane = useControlPlane();
  const namespace = useNamespace(plane);
  const cleanup = new Cleanup();

  const serve = async (
    name: string,
    upstream: Upstream,
    settings: Partial<InvocationSettings>,
    protocol: 'HTTP' | 'HTTPS' = 'HTTP',
  ): Promise<TestGateway> => {
    cleanup.add(upstream);
    const sessions = new TestSessions(plane.client, () => namespace.name);
    await sessions.create({ name, endpoints: [{ pathPrefix: '/', port: upstream.port, protocol }] });
    await sessions.makeReady(name);
    return cleanup.add(await startGateway({ client: plane.client, settings: { ...defaultSettings, ...settings } }));
  };
  const open = async (gateway: TestGateway, name: string, headers: string[] = []): Promise<RawClient> => {
    const client = cleanup.close(await RawClient.connect(gateway.port));
    client.send(requestText(namespace.name, name, { headers }));
    return client;
  };
  const outcomes = async (gateway: TestGateway) =>
    (await gateway.registry.getSingleMetricAsString('sojourn_invocations_total')) ?? '';

  it('tells a client whose answer does not begin', async () => {
    const gone: string[] = [];
    const upstream = await startUpstream((_request, response) => response.on('close', () => gone.push('closed')));
    const gateway = await serve('mute', upstream, { request: { idleMs: soonMs, totalMs: 0 } });
    const answer = await gateway.call(namespace.name, 'mute');
    expect(codeOf(answer)).to.equal(504);
    expect(jsonOf(answer)).to.include({ reason: 'UpstreamTimeout' });
    await until('the sandbox to be told', () => gone.length === 1);
    expect(await outcomes(gateway)).to.contain('code="504",outcome="expired"} 1');
  });

  it('resets a stream that falls silent, and only that', async () => {
    const streams = new Map<string, ServerResponse>();
    const upstream = await startUpstream((request, response) => {
      response.write(': hello\n');
      streams.set(String(request.headers['x-stream']), response);
    });
    const gateway = await serve('sse', upstream, { request: { idleMs: soonMs, totalMs: 0 } });
    const lively = await open(gateway, 'sse', ['X-Stream: lively']);
    const silent = await open(gateway, 'sse', ['X-Stream: silent']);
    const beat = setInterval(() => streams.get('lively')?.write(': beat\n'), 50);
    cleanup.add({ stop: () => clearInterval(beat) });
    await silent.over();
    expect(silent.errorCode).to.equal('ECONNRESET');
    expect(lively.ended).to.equal(false);
    expect(lively.errorCode).to.equal(undefined);
  });

  it('resets a call that goes on for too long, however lively', async () => {
    const upstream = await startUpstream((_request, response) => {
      const beat = setInterval(() => response.write('.'), 20);
      response.on('close', () => clearInterval(beat));
    });
    const gateway = await serve('endless', upstream, { request: { idleMs: 0, totalMs: soonMs } });
    const client = await open(gateway, 'endless');
    await client.over();
    expect(client.errorCode).to.equal('ECONNRESET');
    expect(client.text).to.match(/^HTTP\/1\.1 200 /);
  });

  it('gives up a call for good that was still on its way to the sandbox', async () => {
    let connections = 0;
    const upstream = await startRawUpstream(() => {
      connections += 1;
    });
    const protocol = 'HTTPS';
    const gateway = await serve('deaf', upstream, { request: { idleMs: 200, totalMs: 0 } }, protocol);
    const answer = await gateway.call(namespace.name, 'deaf');
    expect(jsonOf<{ message: string }>(answer).message).to.contain('nothing moved between client and sandbox');
    expect(codeOf(answer)).to.equal(504);
    expect(connections).to.equal(1);
    expect(await outcomes(gateway)).to.contain('code="504",outcome="expired"} 1');
  });

  it('has limits of its own for upgraded connections', async () => {
    const upstream = await startRawUpstream((socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello');
    });
    const gateway = await serve('socket', upstream, { request: never, upgrade: { idleMs: soonMs, totalMs: 0 } });
    const client = cleanup.close(await RawClient.connect(gateway.port));
    const text = requestText(namespace.name, 'socket', { headers: ['Upgrade: echo'] });
    client.send(text.replace('Connection: close', 'Connection: Upgrade'));
    await client.hear(/hello/);
    await client.over();
    expect(client.errorCode).to.equal('ECONNRESET');
    await until('the end to be counted', async () => (await outcomes(gateway)).includes('outcome="expired"} 1'));
  });
});
