import type { ServerResponse } from 'node:http';
import { expect } from 'chai';
import { useControlPlane, useNamespace } from '../support/control-plane.ts';
import { until } from '../support/until.ts';
import { Cleanup } from './support/cleanup.ts';
import { requestText } from './support/gateway.ts';
import { startReadyProxy } from './support/proxy.ts';
import { exchange, RawClient } from './support/raw-client.ts';
import { TestSessions } from './support/sessions.ts';
import { startUpstream } from './support/upstream.ts';

describe('graceful stop', () => {
  const plane = useControlPlane();
  const namespace = useNamespace(plane);
  const cleanup = new Cleanup();

  it('lets streams end, says that it is not ready, and accepts nothing new', async () => {
    const streams: ServerResponse[] = [];
    const upstream = cleanup.add(
      await startUpstream((request, response) => {
        if (request.url !== '/stream') response.end('short');
        else streams.push(response.writeHead(200));
        if (request.url === '/stream') response.write('first');
      }),
    );
    const sessions = new TestSessions(plane.client, () => namespace.name);
    await sessions.create({ name: 's', endpoints: [{ pathPrefix: '/', port: upstream.port, protocol: 'HTTP' }] });
    await sessions.makeReady('s');
    const proxy = await startReadyProxy(plane, ['--auth', 'none']);
    const idle = cleanup.close(await RawClient.connect(proxy.port));
    idle.send(requestText(namespace.name, 's', {}).replace('Connection: close', 'Connection: keep-alive'));
    await idle.hear(/short/);
    const streaming = cleanup.close(await RawClient.connect(proxy.port));
    streaming.send(requestText(namespace.name, 's', { target: '/stream' }).replace('Connection: close', 'X: y'));
    await streaming.hear(/first/);

    const stopped = proxy.stop();
    await idle.over();
    expect(idle.ended).to.equal(true);
    const readiness = await fetch(`http://127.0.0.1:${proxy.operationsPort}/readyz`);
    expect(readiness.status).to.equal(503);
    expect(await readiness.text()).to.contain('[-]not-stopping failed: this process is stopping');
    const refused = await exchange(proxy.port, 'x').catch((error: NodeJS.ErrnoException) => error.code);
    expect(refused).to.equal('ECONNREFUSED');

    streams[0]?.end(' and last');
    await streaming.hear(/ and last\r\n0\r\n\r\n$/);
    await streaming.over();
    await stopped;
  });

  it('counts what it carried', async () => {
    const upstream = cleanup.add(await startUpstream((_request, response) => response.writeHead(418).end('no')));
    const sessions = new TestSessions(plane.client, () => namespace.name);
    await sessions.create({ name: 'm', endpoints: [{ pathPrefix: '/', port: upstream.port, protocol: 'HTTP' }] });
    await sessions.makeReady('m');
    const proxy = await startReadyProxy(plane, ['--auth', 'none']);
    try {
      const get = async (name: string) => await exchange(proxy.port, requestText(namespace.name, name, {}));
      await until('the session', async () => (await get('m')).startsWith('HTTP/1.1 418'));
      await get('absent');
      const metrics = await (await fetch(`http://127.0.0.1:${proxy.operationsPort}/metrics`)).text();
      expect(metrics).to.match(
        /^sojourn_invocations_total\{route="native",kind="request",code="418",outcome="answered"\} [1-9]\d*$/m,
      );
      expect(metrics).to.match(
        /^sojourn_invocations_total\{route="native",kind="request",code="404",outcome="refused"\} 1$/m,
      );
      expect(metrics).to.match(/^sojourn_invocations_in_flight\{route="native",kind="request"\} 0$/m);
      expect(metrics).to.match(
        /^sojourn_invocation_first_byte_seconds_count\{route="native",kind="request"\} [1-9]\d*$/m,
      );
      expect(metrics).not.to.contain(namespace.name);
    } finally {
      await proxy.stop();
    }
  });
});
