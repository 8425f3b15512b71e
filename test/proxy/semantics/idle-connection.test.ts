import type { Socket } from 'node:net';
import { expect } from 'chai';
import { until } from '../../support/until.ts';
import { Cleanup } from '../support/cleanup.ts';
import { startFront } from '../support/front.ts';
import { codeOf, RawClient } from '../support/raw-client.ts';
import { startBreakingUpstream, startRawUpstream } from '../support/upstream.ts';

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/**
 * A sandbox may close an idle connection at the very moment at which a request is sent on it. Go's http.Transport repeats
 * safe methods then, and others only if nothing of them was written; nginx (proxy_next_upstream) all but POST, LOCK, PATCH.
 */
describe('idle connection', () => {
  const cleanup = new Cleanup();

  /** A program that answers `/first` and closes each connection when it hears anything else there; a new one it serves. */
  async function connect(last: (socket: Socket) => void = (socket) => socket.destroy()): Promise<{
    client: RawClient;
    heard: string[];
  }> {
    const heard: string[] = [];
    const upstream = cleanup.add(
      await startRawUpstream((socket) => {
        let requests = 0;
        socket.on('data', (data) => {
          requests += 1;
          heard.push(data.toString().split(' HTTP/1.1')[0] ?? '');
          if (requests === 1) socket.write(ok);
          else last(socket);
        });
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send('GET /first HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.hear(/ok$/);
    return { client, heard };
  }

  for (const method of ['GET', 'OPTIONS', 'HEAD']) {
    it(`does not fail a ${method} for it`, async () => {
      const { client, heard } = await connect();
      client.send(`${method} /second HTTP/1.1\r\nHost: x\r\n\r\n`);
      await client.hear(/ok[\s\S]*200 OK[\s\S]*\r\n\r\n/);
      expect(heard).to.deep.equal(['GET /first', `${method} /second`, `${method} /second`]);
    });
  }

  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    it(`does not send a ${method} twice for it`, async () => {
      const { client, heard } = await connect();
      client.send(`${method} /second HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`);
      await client.hear(/}\n$/);
      expect(client.text).to.contain('HTTP/1.1 502 ');
      expect(heard).to.deep.equal(['GET /first', `${method} /second`]);
    });
  }

  it('does not send a body twice for it, not even a GET’s', async () => {
    const { client, heard } = await connect();
    client.send('GET /second HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi');
    await client.hear(/}\n$/);
    expect(heard.filter((line) => line === 'GET /second')).to.have.length(1);
  });

  it('does not repeat a GET after a byte of its answer', async () => {
    const { client, heard } = await connect((socket) => socket.end('HTTP/1.1 2'));
    client.send('GET /second HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.hear(/}\n$/);
    expect(heard).to.deep.equal(['GET /first', 'GET /second']);
  });

  it('does not repeat a GET on which a fresh connection broke: that is the program’s answer', async () => {
    const upstream = cleanup.add(await startBreakingUpstream());
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.hear(/}\n$/);
    expect(codeOf(client.text)).to.equal(502);
    expect(upstream.connections()).to.equal(1);
  });

  it('does not use a connection that the sandbox has closed', async () => {
    const sockets: Socket[] = [];
    const upstream = cleanup.add(
      await startRawUpstream((socket) => {
        sockets.push(socket);
        socket.on('data', () => socket.write(ok));
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    for (let count = 1; count <= 5; count += 1) {
      client.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n');
      await client.hear(new RegExp(`(?:\r\n\r\nok[\\s\\S]*){${count}}$`));
      const closed = sockets.at(-1);
      closed?.end();
      await until('the connection to be closed', () => closed?.destroyed !== false);
    }
    expect(sockets).to.have.length(5);
  });

  it('does not use a connection on which a HEAD was answered with a body', async () => {
    const { client, heard } = await connect((socket) =>
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody'),
    );
    client.send('HEAD /second HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.hear(/content-length: 4[\s\S]*\r\n\r\n$/i);
    client.send('GET /third HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.hear(/\r\n\r\nok[\s\S]*\r\n\r\nok$/);
    expect(client.text).not.to.contain('body');
    expect(heard).to.have.length(3);
  });
});
