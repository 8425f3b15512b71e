import type { IncomingHttpHeaders } from 'node:http';
import { expect } from 'chai';
import { https } from '../../support/http.ts';
import { newServingCertificate } from '../support/certificate.ts';
import { Cleanup } from '../support/cleanup.ts';
import { startFront } from '../support/front.ts';
import { exchange, RawClient } from '../support/raw-client.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

/** Headers that programs take for the word of a proxy they trust. */
const forged = [
  'Forwarded: for=10.0.0.1;proto=https',
  'X-Forwarded-For: 10.0.0.1',
  'X-Forwarded-Host: evil.example',
  'X-Forwarded-Proto: gopher',
  'X-Forwarded-Prefix: /evil',
  'X-Forwarded-User: admin',
  'X-Real-IP: 10.0.0.1',
];

describe('forwarded headers', () => {
  const cleanup = new Cleanup();
  let upstream: Upstream;
  let seen: IncomingHttpHeaders[];

  beforeEach(async () => {
    seen = [];
    upstream = cleanup.add(
      await startUpstream(
        (request, response) => {
          seen.push(request.headers);
          response.end('ok');
        },
        (server) =>
          server.on('upgrade', (request, socket) => {
            seen.push(request.headers);
            socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
          }),
      ),
    );
  });

  function expectOurs(headers: IncomingHttpHeaders | undefined, host: string, proto: string): void {
    const names = Object.keys(headers ?? {}).filter((name) => /forwarded|x-real-ip/.test(name));
    expect(names.sort()).to.deep.equal(['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto']);
    expect(headers).to.include({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': host,
      'x-forwarded-proto': proto,
    });
  }

  // nginx and Go's ReverseProxy with a Director append to what the client wrote; Go's Rewrite drops it as we do.
  it('does not let a client say where its request came from', async () => {
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const lines = ['GET / HTTP/1.1', 'Host: sessions.example:8443', 'Connection: close', ...forged, '', ''];
    await exchange(front.port, lines.join('\r\n'));
    expectOurs(seen[0], 'sessions.example:8443', 'http');
  });

  it('does not let an upgrade say it either', async () => {
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    const lines = ['GET / HTTP/1.1', 'Host: x', 'Connection: Upgrade', 'Upgrade: tty/1', ...forged, '', ''];
    client.send(lines.join('\r\n'));
    await client.over();
    expectOurs(seen[0], 'x', 'http');
  });

  it('does not call TLS http', async () => {
    const certificate = await newServingCertificate();
    const front = cleanup.add(await startFront({ upstream: upstream.origin, tls: certificate }));
    await https({ url: `https://127.0.0.1:${front.port}/`, ca: certificate.ca });
    expectOurs(seen[0], `127.0.0.1:${front.port}`, 'https');
  });
});
