import type { IncomingMessage } from 'node:http';
import { expect } from 'chai';
import { Cleanup } from '../support/cleanup.ts';
import { sessionId, startFront } from '../support/front.ts';
import { exchange, RawClient } from '../support/raw-client.ts';
import { startRawUpstream, startUpstream } from '../support/upstream.ts';

describe('hop-by-hop headers', () => {
  const cleanup = new Cleanup();

  /** What a sandbox sees of a request with these headers. */
  async function seenBySandbox(headers: readonly string[], authorization?: string): Promise<IncomingMessage> {
    const seen = Promise.withResolvers<IncomingMessage>();
    const upstream = cleanup.add(
      await startUpstream((request, response) => {
        seen.resolve(request);
        response.end();
      }),
    );
    const front = cleanup.add(
      await startFront({ upstream: upstream.origin, ...(authorization === undefined ? {} : { authorization }) }),
    );
    await exchange(front.port, `GET / HTTP/1.1\r\nHost: client.example\r\n${headers.join('\r\n')}\r\n\r\n`);
    return await seen.promise;
  }

  /** What a client hears when a sandbox answers with these headers. */
  async function heardByClient(answer: string): Promise<string> {
    const upstream = cleanup.add(
      await startRawUpstream((socket) => {
        socket.once('data', () => socket.end(Buffer.from(answer, 'latin1')));
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    return await exchange(front.port, 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  }

  it('keeps the headers of the client’s connection from the sandbox', async () => {
    const { headers } = await seenBySandbox([
      'Connection: close, X-Mine , keep-alive',
      'X-Mine: secret',
      'Keep-Alive: timeout=5',
      'Proxy-Authorization: Basic eA==',
      'Proxy-Connection: keep-alive',
      'TE: gzip',
      'Trailer: X-Sum',
      'X-Other: kept',
    ]);
    for (const name of ['x-mine', 'keep-alive', 'proxy-authorization', 'proxy-connection', 'te', 'trailer']) {
      expect(headers, name).not.to.have.property(name);
    }
    expect(headers['x-other']).to.equal('kept');
  });

  it('shows the sandbox neither the client’s credential nor headers that look like an authenticated user', async () => {
    const { headers } = await seenBySandbox(
      [
        'Connection: close',
        'Authorization: Bearer the-users-own',
        'X-Remote-User: admin',
        'x-remote-group: system:masters',
        'Impersonate-User: admin',
        'Sojourn-On-Behalf-Of: {"username":"admin"}',
        'X-Remotely: kept',
      ],
      'Bearer ours',
    );
    expect(headers.authorization).to.equal('Bearer ours');
    for (const name of ['x-remote-user', 'x-remote-group', 'impersonate-user', 'sojourn-on-behalf-of']) {
      expect(headers, name).not.to.have.property(name);
    }
    expect(headers['x-remotely']).to.equal('kept');
  });

  it('sends no Authorization at all to a sandbox that verifies nothing', async () => {
    const { headers } = await seenBySandbox(['Connection: close', 'Authorization: Bearer the-users-own']);
    expect(headers).not.to.have.property('authorization');
  });

  it('keeps case, order, duplicates and bytes above ASCII of all other headers', async () => {
    const { rawHeaders } = await seenBySandbox([
      'Connection: close',
      'X-Twice: one',
      'x-TWICE: two',
      'X-Latin: caf\xe9',
      'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    ]);
    const at = rawHeaders.indexOf('X-Twice');
    expect(rawHeaders.slice(at, at + 6)).to.deep.equal(['X-Twice', 'one', 'x-TWICE', 'two', 'X-Latin', 'caf\xe9']);
    expect(rawHeaders).to.include('traceparent');
  });

  it('names the sandbox as the host', async () => {
    const { headers } = await seenBySandbox(['Connection: close']);
    expect(headers.host).to.match(/^127\.0\.0\.1:\d+$/);
  });

  it('keeps the headers of the sandbox’s connection from the client', async () => {
    const answer = await heardByClient(
      [
        'HTTP/1.1 200 OK',
        'Content-Length: 2',
        'Connection: close, X-Internal',
        'X-Internal: hidden',
        'Keep-Alive: timeout=99',
        'Proxy-Authenticate: Basic',
        'Set-Cookie: a=1',
        'Set-Cookie: b=2',
        'X-Latin: caf\xe9',
        '',
        'ok',
      ].join('\r\n'),
    );
    expect(answer).to.match(/\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n/);
    expect(answer).to.contain('X-Latin: caf\xe9\r\n');
    expect(answer).to.match(/\r\n\r\nok$/);
    for (const text of ['hidden', 'timeout=99', 'Proxy-Authenticate']) expect(answer).not.to.contain(text);
  });

  it('names the session on every answer, whatever the sandbox calls itself', async () => {
    const answer = await heardByClient(
      'HTTP/1.1 404 Not Found\r\nX-Agentcube-Session-Id: forged\r\nContent-Length: 0\r\n\r\n',
    );
    expect(answer).to.contain(`x-agentcube-session-id: ${sessionId}\r\n`);
    expect(answer).not.to.contain('forged');
  });

  it('answers HEAD with the length of what GET would bring, and no body', async () => {
    const upstream = cleanup.add(
      await startUpstream((_request, response) => response.writeHead(200, { 'content-length': '1234' }).end()),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send('HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const answer = await client.hear(/200 OK[\s\S]*200 OK[\s\S]*\r\n\r\n/);
    expect(answer).to.match(
      /^HTTP\/1\.1 200 OK\r\n(?:[^\r]+\r\n)*content-length: 1234\r\n(?:[^\r]+\r\n)*\r\nHTTP\/1\.1 200/,
    );
  });
});
