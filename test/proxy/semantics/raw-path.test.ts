import { expect } from 'chai';
import { Cleanup } from '../support/cleanup.ts';
import { startFront } from '../support/front.ts';
import { bodyOf, codeOf, exchange } from '../support/raw-client.ts';
import { startRawUpstream } from '../support/upstream.ts';

describe('raw path', () => {
  const cleanup = new Cleanup();

  /** The request line that a sandbox hears when a client sends this one. */
  async function heard(target: string): Promise<string> {
    const upstream = cleanup.add(
      await startRawUpstream((socket) => {
        socket.once('data', (data) => {
          const line = data.toString('latin1').split('\r\n')[0] ?? '';
          const body = Buffer.from(line, 'latin1');
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
          socket.write(body);
        });
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const answer = await exchange(front.port, `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    return codeOf(answer) === 200 ? bodyOf(answer) : `refused with ${codeOf(answer)}`;
  }

  const passedOn = [
    '/',
    '/api/files/a%2Fb',
    '/a/../b/./c',
    '/%2e%2e/%2E%2E%2fetc/passwd',
    '//evil.example/x',
    '/a//b///',
    '/a;b=c,d',
    '/a\\b',
    '/?',
    '/x?z=1&a=2&z=3&&=',
    '/x?q=%zz&r=a+b%20c',
  ];
  for (const target of passedOn) {
    it(`passes on ${JSON.stringify(target)} byte for byte`, async () => {
      expect(await heard(target)).to.equal(`GET ${target} HTTP/1.1`);
    });
  }

  for (const target of ['http://evil.example/x', '*', 'x', '/caf\xe9', '/a\tb', '/a\x00b']) {
    it(`refuses ${JSON.stringify(target)}`, async () => {
      expect(await heard(target)).to.equal('refused with 400');
    });
  }
});
