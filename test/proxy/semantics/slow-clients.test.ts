import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { expect } from 'chai';
import { until } from '../../support/until.ts';
import { newServingCertificate, type ServingCertificate } from '../support/certificate.ts';
import { Cleanup } from '../support/cleanup.ts';
import { type Front, type FrontOptions, startFront } from '../support/front.ts';
import { codeOf, jsonOf, RawClient } from '../support/raw-client.ts';
import { startFixedUpstream, startRawUpstream, startUpstream } from '../support/upstream.ts';

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const get = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
const quick = { headersTimeoutMs: 300, checkIntervalMs: 50 };

describe('slow clients', () => {
  const cleanup = new Cleanup();
  let certificate: ServingCertificate;

  before(async () => {
    certificate = await newServingCertificate();
  });

  async function start(options: Partial<FrontOptions>): Promise<Front> {
    const upstream = cleanup.add(await startFixedUpstream(ok));
    return cleanup.add(await startFront({ upstream: upstream.origin, ...options }));
  }

  it('does not wait for headers that trickle in (Slowloris)', async () => {
    const front = await start({ limits: quick });
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send('GET / HTTP/1.1\r\nHost: x\r\n');
    const timer = setInterval(() => client.send('X-A: b\r\n'), 30);
    try {
      await client.hear(/}\n$/);
    } finally {
      clearInterval(timer);
    }
    expect(jsonOf(client.text)).to.include({ kind: 'Status', reason: 'Timeout', code: 408 });
  });

  it('does not wait for a connection that says nothing', async () => {
    const front = await start({ limits: quick });
    const client = cleanup.close(await RawClient.connect(front.port));
    await client.over();
  });

  it('does not wait for the headers of a TLS client either', async () => {
    const front = await start({ tls: certificate, limits: quick });
    const socket = connectTls({ port: front.port, host: '127.0.0.1', ca: certificate.ca });
    cleanup.add({ stop: () => void socket.destroy() });
    await once(socket, 'secureConnect');
    let heard = '';
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString();
    });
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n');
    await until('an answer', () => heard.endsWith('}\n'));
    expect(codeOf(heard)).to.equal(408);
    expect(jsonOf(heard)).to.include({ kind: 'Status', reason: 'Timeout' });
  });

  it('does not wait for a TLS handshake that never ends', async () => {
    const front = await start({ tls: certificate, limits: { handshakeTimeoutMs: 300 } });
    const socket = connectTcp({ port: front.port, host: '127.0.0.1' });
    cleanup.add({ stop: () => void socket.destroy() });
    const closed = once(socket, 'close');
    // The beginning of a ClientHello.
    socket.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]));
    socket.on('error', () => socket.destroy()).resume();
    await closed;
  });

  it('does not keep idle connections for ever', async () => {
    const front = await start({ limits: { keepAliveMs: 200 } });
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send(get);
    await client.hear(/ok$/);
    await client.over();
    expect(client.ended).to.equal(true);
  });

  it('does not keep idle HTTP/2 connections for ever', async () => {
    const front = await start({ tls: certificate, limits: { keepAliveMs: 200 } });
    const session: ClientHttp2Session = connectHttp2(`https://127.0.0.1:${front.port}`, { ca: certificate.ca });
    cleanup.add({ stop: () => session.destroy() });
    await once(session, 'connect');
    await once(session, 'close');
  });

  it('does not wait for a body that nobody sends', async () => {
    // nginx: client_body_timeout, 60 s between two reads. Go has only a time for the whole (ReadTimeout).
    const upstream = cleanup.add(await startFixedUpstream(''));
    const front = cleanup.add(await startFront({ upstream: upstream.origin, silenceMs: 300 }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab');
    await client.hear(/}\n$/);
    expect(jsonOf(client.text)).to.include({ kind: 'Status', reason: 'Timeout', code: 408 });
  });

  it('does not take a slow sandbox for a slow client', async () => {
    let heard = 0;
    const upstream = cleanup.add(
      await startRawUpstream((socket) => {
        socket.pause();
        setTimeout(() => socket.resume(), 2_500);
        socket.on('data', (chunk) => {
          heard += chunk.length;
          if (chunk.includes('END')) socket.write(ok);
        });
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin, silenceMs: 1_000 }));
    const client = cleanup.close(await RawClient.connect(front.port));
    const size = 24 * 1024 * 1024;
    client.send(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${size + 3}\r\n\r\n`);
    client.send(Buffer.alloc(size, 'x'));
    client.send('END');
    await client.hear(/ok$/);
    expect(heard).to.be.greaterThan(size);
  });

  it('does not end a talk in which the client is silent after the sandbox has begun to answer', async () => {
    const upstream = cleanup.add(
      await startUpstream((request, response) => {
        response.writeHead(200);
        request.on('data', (chunk: Buffer) => response.write(`heard ${chunk}`));
        request.on('end', () => response.end('bye'));
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin, silenceMs: 1_000 }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n');
    await client.hear(/heard hi/);
    const since = performance.now();
    await until('more than the time allowed for silence', () => performance.now() - since > 2_000);
    client.send('5\r\nagain\r\n0\r\n\r\n');
    await client.hear(/heard again[\s\S]*bye/);
  });

  it('does not take more connections than it may, and says so', async () => {
    const front = await start({ limits: { mostConnections: 2 } });
    const first = cleanup.close(await RawClient.connect(front.port));
    const second = cleanup.close(await RawClient.connect(front.port));
    first.send(get);
    second.send(get);
    await Promise.all([first.hear(/ok$/), second.hear(/ok$/)]);
    const third = cleanup.close(await RawClient.connect(front.port));
    await third.over();
    expect(third.text).to.match(/\r\nretry-after: 1\r\n/);
    expect(jsonOf(third.text)).to.include({ kind: 'Status', reason: 'ServiceUnavailable', code: 503 });
    first.close();
    await until('a place', async () => {
      const next = cleanup.close(await RawClient.connect(front.port));
      next.send(get);
      await until('an answer', () => next.text !== '' || next.errorCode !== undefined);
      return next.text.startsWith('HTTP/1.1 200');
    });
  });

  it('does not shake hands with more TLS clients than it may', async () => {
    const front = await start({ tls: certificate, limits: { mostConnections: 1 } });
    const first = connectTls({ port: front.port, host: '127.0.0.1', ca: certificate.ca });
    cleanup.add({ stop: () => void first.destroy() });
    await once(first, 'secureConnect');
    const second = connectTls({ port: front.port, host: '127.0.0.1', ca: certificate.ca });
    cleanup.add({ stop: () => void second.destroy() });
    const [error] = (await once(second, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).to.equal('ECONNRESET');
  });
});
