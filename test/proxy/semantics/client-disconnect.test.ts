import { expect } from 'chai';
import { until } from '../../support/until.ts';
import { Cleanup } from '../support/cleanup.ts';
import { startFront } from '../support/front.ts';
import { RawClient } from '../support/raw-client.ts';
import { startEndlessUpstream, startRawUpstream, startUpstream } from '../support/upstream.ts';

describe('client disconnect', () => {
  const cleanup = new Cleanup();

  it('stops the sandbox when the client leaves in the middle of an answer', async () => {
    const upstream = cleanup.add(await startEndlessUpstream());
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send('GET /stream HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.hear(/first/);
    client.close();
    await until('the sandbox to see its caller leave', upstream.left);
    await until('the end to be noted', () => front.ends.length === 1);
    expect(front.ends).to.deep.equal(['client-gone']);
  });

  it('stops the sandbox when the client leaves in the middle of its upload', async () => {
    let received = 0;
    let closed = false;
    const upstream = cleanup.add(
      await startRawUpstream((socket) => {
        socket.on('data', (chunk) => {
          received += chunk.length;
        });
        socket.on('close', () => {
          closed = true;
        });
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send('POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf of it');
    await until('the upload to arrive', () => received > 0);
    client.close();
    await until('the sandbox to see its caller leave', () => closed);
    await until('the end to be noted', () => front.ends.length === 1);
    expect(front.ends).to.deep.equal(['client-gone']);
  });

  it('stops the sandbox when the client leaves before anything was answered', async () => {
    let asked = false;
    let closed = false;
    const upstream = cleanup.add(
      await startUpstream((_request, response) => {
        asked = true;
        response.on('close', () => {
          closed = true;
        });
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n');
    await until('the sandbox to be asked', () => asked);
    client.close();
    await until('the sandbox to see its caller leave', () => closed);
    await until('the end to be noted', () => front.ends.length === 1);
    expect(front.ends).to.deep.equal(['client-gone']);
  });

  it('serves others while one client has left', async () => {
    const upstream = cleanup.add(
      await startUpstream((request, response) => {
        if (request.url === '/hang') response.write('...');
        else response.end('here');
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const leaving = await RawClient.connect(front.port);
    leaving.send('GET /hang HTTP/1.1\r\nHost: x\r\n\r\n');
    await leaving.hear(/\.\.\./);
    leaving.close();
    const other = cleanup.close(await RawClient.connect(front.port));
    other.send('GET /other HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(await other.hear(/here/)).to.match(/^HTTP\/1\.1 200 OK/);
  });
});
