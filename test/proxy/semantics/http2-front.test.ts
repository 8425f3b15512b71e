import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2';
import type { Socket } from 'node:net';
import { expect } from 'chai';
import { https } from '../../support/http.ts';
import { until } from '../../support/until.ts';
import { newServingCertificate, type ServingCertificate } from '../support/certificate.ts';
import { Cleanup } from '../support/cleanup.ts';
import { type Front, sessionId, startFront } from '../support/front.ts';
import { startEndlessUpstream, startRawUpstream, startUpstream } from '../support/upstream.ts';

/** An answer over HTTP/2. */
interface Answer {
  headers: IncomingHttpHeaders;
  text: string;
}

describe('http2 front', () => {
  const cleanup = new Cleanup();
  let certificate: ServingCertificate;

  before(async () => {
    certificate = await newServingCertificate();
  });

  async function connectTo(
    upstream: string,
    options: { limitBytes?: number } = {},
  ): Promise<{
    session: ClientHttp2Session;
    front: Front;
  }> {
    const front = cleanup.add(await startFront({ upstream, tls: certificate, ...options }));
    const session = connect(`https://127.0.0.1:${front.port}`, { ca: certificate.ca });
    cleanup.add({ stop: () => session.destroy() });
    await once(session, 'connect');
    return { session, front };
  }

  async function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    if (!stream.readableEnded) await once(stream, 'end');
    return { headers, text: Buffer.concat(chunks).toString() };
  }

  it('speaks HTTP/1.1 to the sandbox and keeps what a request is', async () => {
    const seen: IncomingMessage[] = [];
    const upstream = cleanup.add(
      await startUpstream((request, response) => {
        seen.push(request);
        request.on('data', (chunk: Buffer) => response.write(`got ${chunk}`)).on('end', () => response.end());
      }),
    );
    const { session } = await connectTo(upstream.origin);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/a/../b%2Fc?z=1&a=2',
      cookie: ['a=1', 'b=2'],
      'x-remote-user': 'admin',
      'x-other': 'kept',
    });
    stream.end('hello');
    const { headers, text } = await answerOf(stream);
    expect(headers[':status']).to.equal(200);
    expect(headers['x-agentcube-session-id']).to.equal(sessionId);
    expect(text).to.equal('got hello');
    expect(seen[0]).to.include({ method: 'POST', url: '/a/../b%2Fc?z=1&a=2', httpVersion: '1.1' });
    expect(seen[0]?.headers).to.include({ cookie: 'a=1; b=2', 'x-other': 'kept' });
    expect(seen[0]?.rawHeaders.join()).not.to.match(/:method|x-remote-user/);
  });

  it('sends no body where there is none', async () => {
    const seen: IncomingMessage[] = [];
    const upstream = cleanup.add(
      await startUpstream((request, response) => {
        seen.push(request);
        response.end('ok');
      }),
    );
    const { session } = await connectTo(upstream.origin);
    await answerOf(session.request({ ':path': '/' }));
    expect(seen[0]?.headers).not.to.have.any.keys('transfer-encoding', 'content-length');
  });

  for (const [what, head] of [
    ['two Date headers', 'HTTP/1.1 200 OK\r\nDate: a\r\nDate: b\r\nContent-Length: 2\r\n\r\nok'],
    [
      'two ETags, Locations and Content-Types',
      'HTTP/1.1 200 OK\r\nETag: a\r\nETag: b\r\nLocation: /a\r\nLocation: /b\r\nContent-Type: a/b\r\nContent-Type: c/d\r\nContent-Length: 2\r\n\r\nok',
    ],
    ['a 205 with a length', 'HTTP/1.1 205 Reset Content\r\nContent-Length: 2\r\n\r\nok'],
    ['status 700', 'HTTP/1.1 700 What\r\nContent-Length: 2\r\n\r\nok'],
  ] as const) {
    it(`survives a sandbox that answers with ${what}`, async () => {
      const upstream = cleanup.add(
        await startRawUpstream((socket) => {
          socket.once('data', () => socket.end(head));
        }),
      );
      const { session } = await connectTo(upstream.origin);
      const first = await answerOf(session.request({ ':path': '/' }));
      expect(first.headers[':status']).to.be.oneOf([200, 205, 502]);
      // The same connection, hence the same process, goes on serving.
      const second = await answerOf(session.request({ ':path': '/' }));
      expect(second.headers[':status']).to.equal(first.headers[':status']);
    });
  }

  it('takes the headers of an HTTP/1 connection away and keeps duplicates', async () => {
    const upstream = cleanup.add(
      await startRawUpstream((socket) => {
        const lines = ['HTTP/1.1 200 OK', 'Connection: keep-alive, X-Gone', 'X-Gone: 1', 'Keep-Alive: timeout=5'];
        lines.push('Set-Cookie: a=1', 'Set-Cookie: b=2', 'Transfer-Encoding: chunked', '', '2', 'ok', '0', '', '');
        socket.once('data', () => socket.write(lines.join('\r\n')));
      }),
    );
    const { session } = await connectTo(upstream.origin);
    const { headers, text } = await answerOf(session.request({ ':path': '/' }));
    expect(text).to.equal('ok');
    expect(headers['set-cookie']).to.deep.equal(['a=1', 'b=2']);
    expect(headers).not.to.have.any.keys('connection', 'keep-alive', 'transfer-encoding', 'x-gone');
  });

  it('resets the stream when the sandbox breaks off, and the connection lives on', async () => {
    const asked = Promise.withResolvers<Socket>();
    const upstream = cleanup.add(
      await startRawUpstream((socket) => {
        socket.on('data', (data) => {
          if (data.includes('/well')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
          else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this', () => asked.resolve(socket));
        });
      }),
    );
    const { session, front } = await connectTo(upstream.origin);
    const stream = session.request({ ':path': '/cut' });
    const failed = once(stream, 'error');
    await once(stream.resume(), 'response');
    (await asked.promise).destroy();
    await failed;
    expect(stream.rstCode).to.equal(constants.NGHTTP2_INTERNAL_ERROR);
    await until('the end to be noted', () => front.ends.length === 1);
    expect(front.ends).to.deep.equal(['cut']);
    expect((await answerOf(session.request({ ':path': '/well' }))).text).to.equal('ok');
  });

  it('stops the sandbox when the client cancels its stream', async () => {
    const upstream = cleanup.add(await startEndlessUpstream());
    const { session, front } = await connectTo(upstream.origin);
    const stream = session.request({ ':path': '/' });
    await once(stream, 'data');
    stream.close(constants.NGHTTP2_CANCEL);
    await until('the sandbox to see its caller leave', upstream.left);
    await until('the end to be noted', () => front.ends.length === 1);
    expect(front.ends).to.deep.equal(['client-gone']);
  });

  it('brings an early answer whole and lets the client finish its upload', async () => {
    const upstream = cleanup.add(
      await startRawUpstream((socket) => {
        socket.once('data', () => socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 8\r\n\r\ntoo long'));
      }),
    );
    const { session } = await connectTo(upstream.origin);
    const stream = session.request({ ':method': 'POST', ':path': '/' });
    stream.write('some of it');
    const { headers, text } = await answerOf(stream);
    expect(headers[':status']).to.equal(413);
    expect(text).to.equal('too long');
    // More than the windows of stream and connection hold, so that it ends only if somebody reads it.
    stream.end(Buffer.alloc(1024 * 1024));
    await once(stream, 'close');
    expect(stream.rstCode).to.equal(constants.NGHTTP2_NO_ERROR);
  });

  it('refuses a body at the limit', async () => {
    const upstream = cleanup.add(await startUpstream((request) => request.resume()));
    const { session } = await connectTo(upstream.origin, { limitBytes: 1000 });
    const stream = session.request({ ':method': 'POST', ':path': '/' });
    stream.on('error', () => stream.close());
    stream.end(Buffer.alloc(2000));
    const { headers, text } = await answerOf(stream);
    expect(headers[':status']).to.equal(413);
    expect(JSON.parse(text)).to.include({ kind: 'Status', reason: 'RequestEntityTooLarge' });
  });

  it('answers HEAD and 204 without a body', async () => {
    const upstream = cleanup.add(
      await startUpstream((request, response) => {
        if (request.method === 'HEAD') response.writeHead(200, { 'content-length': '1234' }).end();
        else response.writeHead(204).end();
      }),
    );
    const { session } = await connectTo(upstream.origin);
    const head = await answerOf(session.request({ ':method': 'HEAD', ':path': '/' }));
    expect(head.headers).to.include({ ':status': 200, 'content-length': '1234' });
    const nothing = await answerOf(session.request({ ':method': 'DELETE', ':path': '/' }));
    expect(nothing.headers[':status']).to.equal(204);
    expect(head.text + nothing.text).to.equal('');
  });

  it('brings each event of a stream when it is sent', async () => {
    const events: ((text: string) => void)[] = [];
    const upstream = cleanup.add(
      await startUpstream((_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
        events.push((text) => response.write(text));
      }),
    );
    const { session } = await connectTo(upstream.origin);
    const stream = session.request({ ':path': '/' });
    let heard = '';
    stream.on('data', (chunk: Buffer) => {
      heard += chunk.toString();
    });
    await once(stream, 'response');
    for (const number of [1, 2]) {
      events[0]?.(`data: ${number}\n\n`);
      await until(`event ${number}`, () => heard.endsWith(`data: ${number}\n\n`));
    }
    stream.close();
  });

  it('serves HTTP/1.1 clients on the same port', async () => {
    const upstream = cleanup.add(await startUpstream((_request, response) => response.end('one point one')));
    const { front } = await connectTo(upstream.origin);
    const answer = await https({ url: `https://127.0.0.1:${front.port}/`, ca: certificate.ca });
    expect(answer).to.include({ status: 200, text: 'one point one' });
  });

  it('breaks off an HTTP/1.1 client’s answer with its connection', async () => {
    const upstream = cleanup.add(
      await startRawUpstream((socket) => {
        socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this'));
      }),
    );
    const { front } = await connectTo(upstream.origin);
    const failure = await https({ url: `https://127.0.0.1:${front.port}/`, ca: certificate.ca }).then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error.code,
    );
    expect(failure).to.equal('ECONNRESET');
  });
});
