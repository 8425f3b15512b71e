import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { expect } from 'chai';
import { until } from '../../support/until.ts';
import { newServingCertificate, type ServingCertificate } from '../support/certificate.ts';
import { Cleanup } from '../support/cleanup.ts';
import { type Front, startFront } from '../support/front.ts';
import { codeOf, exchange, jsonOf, RawClient } from '../support/raw-client.ts';
import { startRawUpstream } from '../support/upstream.ts';

const get = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
const upgrade = 'GET /tty HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tty/1\r\n\r\n';

describe('https endpoint', () => {
  const cleanup = new Cleanup();
  let certificate: ServingCertificate;
  let greetings: (string | false | null)[];

  before(async () => {
    // Its authority is known to nobody, as that of a program which made its own certificate.
    certificate = await newServingCertificate();
  });

  async function start(): Promise<Front> {
    greetings = [];
    const server = createServer({ cert: certificate.cert, key: certificate.key }, (request, response) => {
      const { servername, alpnProtocol } = request.socket as TLSSocket;
      greetings.push(servername, alpnProtocol);
      if (request.url === '/cut') response.writeHead(200, { 'content-length': '100' }).write('only this');
      if (request.url === '/cut') setImmediate(() => request.socket.destroy());
      else request.pipe(response.writeHead(200));
    });
    server.on('upgrade', (request, socket) => {
      greetings.push((request.socket as TLSSocket).servername);
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tty/1\r\n\r\nwelcome ');
      socket.pipe(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanup.add({
      stop: async () => {
        const closed = once(server, 'close');
        server.close();
        server.closeAllConnections();
        await closed;
      },
    });
    return cleanup.add(await startFront({ upstream: `https://127.0.0.1:${(server.address() as AddressInfo).port}` }));
  }

  it('does not insist on a certificate that proves nothing: a Pod is its address', async () => {
    const front = await start();
    const text = await exchange(
      front.port,
      'POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello',
    );
    expect(text).to.match(/^HTTP\/1\.1 200 OK\r\n[\s\S]*hello/);
    // RFC 6066 §3 has no names for addresses; HTTP/2 is never offered.
    expect(greetings).to.deep.equal([false, 'http/1.1']);
  });

  it('does not upgrade in the clear', async () => {
    const front = await start();
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send(upgrade);
    await client.hear(/\r\n\r\nwelcome $/);
    client.send('and good day');
    await client.hear(/welcome and good day$/);
    expect(greetings).to.deep.equal([false]);
  });

  it('does not make a whole of an answer that TLS was cut off under', async () => {
    const front = await start();
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send('GET /cut HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.over();
    expect(client.errorCode).to.equal('ECONNRESET');
    await until('the end to be noted', () => front.ends.length === 1);
    expect(front.ends).to.deep.equal(['cut']);
  });

  for (const [what, request] of [
    ['a request', get],
    ['an upgrade', upgrade],
  ] as const) {
    it(`does not hang when ${what} finds no TLS behind the port`, async () => {
      const upstream = cleanup.add(
        await startRawUpstream((socket) => {
          socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'));
        }),
      );
      const front = cleanup.add(await startFront({ upstream: upstream.origin.replace('http:', 'https:') }));
      const text = await exchange(front.port, request);
      expect(codeOf(text)).to.equal(502);
      expect(jsonOf(text)).to.include({ reason: 'UpstreamFailed' });
    });
  }
});
