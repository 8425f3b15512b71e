import { expect } from 'chai';
import { until } from '../../support/until.ts';
import { Cleanup } from '../support/cleanup.ts';
import { startFront } from '../support/front.ts';
import { RawClient } from '../support/raw-client.ts';
import { startUpstream } from '../support/upstream.ts';

const chunk = Buffer.alloc(64 * 1024, 'x');
/** Far more than all buffers between the two ends hold together, the kernel's included. */
const much = 256 * 1024 * 1024;

/** Waits until a growing number stands still for many looks at it: in a process that got no time nothing grows either. */
async function standstill(what: string, read: () => number): Promise<number> {
  let last = -1;
  let looks = 0;
  await until(what, () => {
    const now = read();
    looks = now === last ? looks + 1 : 0;
    last = now;
    return now > 0 && looks > 15;
  });
  return last;
}

describe('backpressure', () => {
  const cleanup = new Cleanup();

  it('stops a sandbox that sends faster than its client reads, and goes on when the client does', async () => {
    let written = 0;
    const upstream = cleanup.add(
      await startUpstream((_request, response) => {
        const more = () => {
          while (written < much && !response.destroyed) {
            written += chunk.length;
            if (!response.write(chunk)) break;
          }
          if (written < much) response.once('drain', more);
        };
        more();
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.socket.pause();
    client.send('GET /big HTTP/1.1\r\nHost: x\r\n\r\n');
    const stuckAt = await standstill('the sandbox to be stopped', () => written);
    expect(stuckAt).to.be.lessThan(much / 4);
    client.socket.removeAllListeners('data');
    client.socket.resume();
    await until('the sandbox to go on', () => written > stuckAt + 10 * chunk.length);
  });

  it('stops a client that sends faster than its sandbox reads, and goes on when the sandbox does', async () => {
    let sent = 0;
    let goOn: (() => void) | undefined;
    const upstream = cleanup.add(
      await startUpstream((request, response) => {
        goOn = () => {
          request.resume();
          request.on('end', () => response.end('all read'));
        };
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send(`POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: ${much}\r\n\r\n`);
    const more = () => {
      while (sent < much) {
        sent += chunk.length;
        if (!client.socket.write(chunk)) break;
      }
    };
    client.socket.on('drain', more);
    more();
    const read = await until('the request', () => goOn);
    const stuckAt = await standstill('the client to be stopped', () => sent);
    expect(stuckAt).to.be.lessThan(much / 4);
    read();
    await until('all to be read', () => client.text.includes('all read'), { deadlineMs: 90_000, seen: () => sent });
    expect(sent).to.equal(much);
  }).timeout(150_000);
});
