import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { bodyLimitBytes } from '../../apis/wire/daemon.ts';
import { startDaemon, type TestDaemon } from './harness.ts';

const command = '{"command":["true"]}';
const tooLarge = {
  error: 'request body too large',
  code: 413,
  detail: 'maximum allowed size is 33554432 bytes',
  reason: 'RequestEntityTooLarge',
};

describe('the limit of 32 MiB for a body', () => {
  let daemon: TestDaemon;
  before(async () => {
    daemon = await startDaemon();
  });
  after(() => daemon.stop());

  /** A command, padded with blanks to a length. */
  const padded = (length: number) => Buffer.concat([Buffer.from(command), Buffer.alloc(length - command.length, ' ')]);

  /** Sends everything before it reads anything, as python-requests does. */
  const sendAllFirst = async (
    headers: string,
    chunks: Iterable<Buffer>,
  ): Promise<{ status: number; body: unknown }> => {
    const socket = connect(daemon.port, '127.0.0.1');
    socket.pause();
    socket.write(
      `POST /api/execute HTTP/1.1\r\nHost: d\r\nAuthorization: Bearer ${await daemon.token()}\r\n${headers}\r\n\r\n`,
    );
    for (const chunk of chunks) if (!socket.write(chunk)) await once(socket, 'drain');
    const answer = await text(socket);
    return { status: Number(answer.split(' ')[1]), body: JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)) };
  };

  function* chunked(body: Buffer): Generator<Buffer> {
    for (let start = 0; start < body.length; start += 1_000_003) {
      const chunk = body.subarray(start, start + 1_000_003);
      yield Buffer.from(`${chunk.length.toString(16)}\r\n`);
      yield chunk;
      yield Buffer.from('\r\n');
    }
    yield Buffer.from('0\r\n\r\n');
  }

  it('is met by exactly 32 MiB with a length', async () => {
    const answer = await daemon.request('/api/execute', { method: 'POST', body: padded(bodyLimitBytes) });
    expect(answer.status).to.equal(200);
  });

  it('is met by exactly 32 MiB in chunks', async () => {
    const { status } = await sendAllFirst(
      'Transfer-Encoding: chunked\r\nConnection: close',
      chunked(padded(bodyLimitBytes)),
    );
    expect(status).to.equal(200);
  });

  // The last one does not fit into 32 bits.
  for (const length of [bodyLimitBytes + 1, 2 ** 32 + 1]) {
    it(`refuses ${length} bytes by their length, before they are sent`, async () => {
      const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
      const request = httpRequest({
        host: '127.0.0.1',
        port: daemon.port,
        path: '/api/execute',
        method: 'POST',
        headers: {
          authorization: `Bearer ${await daemon.token()}`,
          'content-length': length,
          expect: '100-continue',
        },
      });
      request.on('continue', () => reject(new Error('the daemon asked for the body')));
      request.on('response', (response) => resolve(response.statusCode));
      request.on('error', reject);
      request.flushHeaders();
      expect(await promise).to.equal(413);
      request.destroy();
    });
  }

  it('asks for a body that it will read', async () => {
    const answer = await daemon.request('/api/execute', {
      method: 'POST',
      body: command,
      headers: { expect: '100-continue' },
    });
    expect(answer.status).to.equal(200);
  });

  it('refuses 33 MiB by its length, and a client that sends it all first still reads the answer', async () => {
    const body = padded(33 * 1024 * 1024);
    const { status, body: answer } = await sendAllFirst(`Content-Length: ${body.length}`, [body]);
    expect(status).to.equal(413);
    expect(answer).to.deep.equal(tooLarge);
  });

  it('refuses one byte more in chunks, and a client that sends it all first still reads the answer', async () => {
    const { status, body } = await sendAllFirst('Transfer-Encoding: chunked', chunked(padded(bodyLimitBytes + 1)));
    expect(status).to.equal(413);
    expect(body).to.deep.equal(tooLarge);
  });

  it('does not listen for ever to a client that never stops sending', async () => {
    const socket = connect(daemon.port, '127.0.0.1');
    socket.on('error', () => socket.destroy());
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(
      `POST /api/execute HTTP/1.1\r\nHost: d\r\nAuthorization: Bearer ${await daemon.token()}\r\nContent-Length: ${2 ** 40}\r\n\r\n`,
    );
    const chunk = Buffer.alloc(1024 * 1024);
    let sent = 0;
    const pump = () => {
      while (!socket.destroyed && sent < 512 * 1024 * 1024) {
        sent += chunk.length;
        if (!socket.write(chunk)) break;
      }
    };
    socket.on('drain', pump);
    socket.resume();
    pump();
    await closed;
    expect(sent).to.be.lessThan(256 * 1024 * 1024);
  });
});
