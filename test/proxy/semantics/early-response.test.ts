import { expect } from 'chai';
import { until } from '../../support/until.ts';
import { Cleanup } from '../support/cleanup.ts';
import { startFront } from '../support/front.ts';
import { RawClient } from '../support/raw-client.ts';
import { startRawUpstream, startUpstream } from '../support/upstream.ts';

const megabyte = Buffer.alloc(1024 * 1024, 'x');

describe('early response', () => {
  const cleanup = new Cleanup();

  it('brings an answer to the client while the client is still uploading', async () => {
    const upstream = cleanup.add(
      await startRawUpstream((socket) => {
        socket.once('data', () => socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 8\r\n\r\ntoo long'));
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send('POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 33554432\r\n\r\n');
    client.send(megabyte);
    expect(await client.hear(/too long/)).to.match(/^HTTP\/1\.1 413 /);
  });

  it('lets the client finish and use its connection again', async () => {
    let requests = 0;
    const upstream = cleanup.add(
      await startUpstream((_request, response) => {
        requests += 1;
        response.end(`answer ${requests}`);
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send(`POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: ${megabyte.length}\r\n\r\nfirst bytes`);
    await client.hear(/answer 1/);
    client.send(megabyte.subarray('first bytes'.length));
    client.send('GET /next HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.hear(/answer 2/);
  });

  it('loses no answer to a client that goes on sending and wants its connection closed', async () => {
    const upstream = cleanup.add(await startUpstream((_request, response) => response.end('unread')));
    const front = cleanup.add(await startFront({ upstream: upstream.origin, limitBytes: 1000 }));
    const head = 'POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n';
    for (const announced of [true, false]) {
      const client = cleanup.close(await RawClient.connect(front.port));
      const length = announced ? `Content-Length: ${8 * megabyte.length}` : 'Transfer-Encoding: chunked';
      client.send(`${head}${length}\r\n\r\n`);
      client.send(announced ? '' : `${(8 * megabyte.length).toString(16)}\r\n`);
      for (let sent = 0; sent < 8; sent += 1) client.send(megabyte);
      client.send(announced ? '' : '\r\n0\r\n\r\n');
      await client.over();
      expect(client.text).to.match(/^HTTP\/1\.1 413 .*}\n$/s);
      expect(client.errorCode).to.equal(undefined);
      expect(client.ended).to.equal(true);
    }
  });

  it('ends the connection of a client that uploads on for seconds after its answer', async () => {
    const upstream = cleanup.add(await startUpstream((_request, response) => response.end('no, thank you')));
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send('POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n');
    await client.hear(/no, thank you/);
    const dripping = setInterval(() => client.send('1\r\nx\r\n'), 100);
    try {
      await client.over();
    } finally {
      clearInterval(dripping);
    }
  });

  it('asks for the body only when there is somewhere to send it (Expect: 100-continue)', async () => {
    let body = '';
    const upstream = cleanup.add(
      await startUpstream((request, response) => {
        request.on('data', (chunk: Buffer) => {
          body += chunk.toString();
        });
        request.on('end', () => response.end(`got ${body}`));
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n');
    await client.hear(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
    client.send('hello');
    await client.hear(/got hello/);
    expect(client.text.match(/100 Continue/g)).to.have.length(1);
  });

  it('refuses a body that is too large before it is sent (Expect: 100-continue)', async () => {
    const upstream = cleanup.add(await startUpstream((_request, response) => response.end()));
    const front = cleanup.add(await startFront({ upstream: upstream.origin, limitBytes: 1000 }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\nExpect: 100-continue\r\n\r\n');
    await client.over();
    expect(client.text).to.match(/^HTTP\/1\.1 413 /);
    expect(client.ended).to.equal(true);
    await until('the end to be noted', () => front.ends.length === 1);
    expect(front.ends).to.deep.equal(['RequestEntityTooLarge']);
  });
});
