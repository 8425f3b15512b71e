import type { Socket } from 'node:net';
import { expect } from 'chai';
import { until } from '../../support/until.ts';
import { Cleanup } from '../support/cleanup.ts';
import { startFront } from '../support/front.ts';
import { codeOf, exchange, jsonOf, RawClient } from '../support/raw-client.ts';
import { startBreakingUpstream, startRawUpstream, startUpstream } from '../support/upstream.ts';

const get = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';

describe('upstream cut', () => {
  const cleanup = new Cleanup();

  /** Sends a request to a program that answers with these bytes and breaks off once the client has heard `heard`. */
  async function cutAfter(
    answer: string,
    { request = get, heard = /(?:)/ } = {},
  ): Promise<{
    client: RawClient;
    ends: readonly string[];
  }> {
    const asked = Promise.withResolvers<Socket>();
    const upstream = cleanup.add(
      await startRawUpstream((socket) => {
        socket.once('data', () => socket.write(answer, () => asked.resolve(socket)));
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send(request);
    const socket = await asked.promise;
    await client.hear(heard);
    socket.end();
    await client.over();
    await until('the end to be noted', () => front.ends.length === 1);
    return { client, ends: front.ends };
  }

  it('resets the connection when an answer with a length stays short', async () => {
    const { client, ends } = await cutAfter('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this', {
      heard: /only this/,
    });
    expect(client.errorCode).to.equal('ECONNRESET');
    expect(client.ended).to.equal(false);
    expect(client.text).to.contain('only this');
    expect(ends).to.deep.equal(['cut']);
  });

  it('resets the connection when a chunked answer has no last chunk', async () => {
    const { client } = await cutAfter('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n', {
      heard: /only this/,
    });
    expect(client.errorCode).to.equal('ECONNRESET');
  });

  it('resets an HTTP/1.0 client too, whose answers end with the connection', async () => {
    const { client } = await cutAfter('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this', {
      request: 'GET / HTTP/1.0\r\n\r\n',
      heard: /only this/,
    });
    expect(client.errorCode).to.equal('ECONNRESET');
    expect(client.ended).to.equal(false);
  });

  it('ends an answer properly that ends with the connection of the sandbox', async () => {
    const { client, ends } = await cutAfter('HTTP/1.1 200 OK\r\n\r\nall of it');
    expect(client.ended).to.equal(true);
    expect(client.text).to.match(/all of it\r\n0\r\n\r\n$/);
    expect(ends).to.deep.equal(['answered']);
  });

  it('does not make a whole of an answer without length whose connection was reset', async () => {
    // undici takes it for the end. Go's ReverseProxy sees it, but a recovering handler around it ends the answer cleanly.
    const asked = Promise.withResolvers<Socket>();
    const upstream = cleanup.add(
      await startRawUpstream((socket) => {
        socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\n\r\nonly this', () => asked.resolve(socket)));
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send(get);
    await client.hear(/only this/);
    (await asked.promise).resetAndDestroy();
    await client.over();
    expect(client.errorCode).to.equal('ECONNRESET');
    await until('the end to be noted', () => front.ends.length === 1);
    expect(front.ends).to.deep.equal(['cut']);
  });

  it('answers 502 when the sandbox breaks off before it answers', async () => {
    const { client } = await cutAfter('');
    expect(codeOf(client.text)).to.equal(502);
    expect(jsonOf(client.text)).to.include({ kind: 'Status', reason: 'UpstreamFailed', code: 502 });
  });

  it('answers 502 when the sandbox does not speak HTTP', async () => {
    const { client } = await cutAfter('SSH-2.0-OpenSSH_9.9\r\n');
    expect(jsonOf(client.text)).to.include({ reason: 'UpstreamFailed' });
  });

  it('answers 502 when nothing listens on the port', async () => {
    const upstream = await startUpstream(() => undefined);
    await upstream.stop();
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const answer = await exchange(front.port, get);
    expect(jsonOf(answer)).to.include({ reason: 'UpstreamFailed', code: 502 });
    expect(answer).not.to.contain(String(upstream.port));
  });

  it('answers 504 when the sandbox takes too long to begin', async () => {
    const upstream = cleanup.add(await startUpstream(() => undefined));
    const front = cleanup.add(await startFront({ upstream: upstream.origin, answerTimeoutMs: 200 }));
    expect(jsonOf(await exchange(front.port, get))).to.include({ reason: 'UpstreamTimeout', code: 504 });
  });

  it('never sends a request a second time after the sandbox broke off', async () => {
    const upstream = cleanup.add(await startBreakingUpstream());
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const post = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc';
    expect(codeOf(await exchange(front.port, post))).to.equal(502);
    await until('the end to be noted', () => front.ends.length === 1);
    expect(upstream.connections()).to.equal(1);
  });
});
