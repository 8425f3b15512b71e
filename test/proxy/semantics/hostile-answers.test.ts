import { expect } from 'chai';
import { until } from '../../support/until.ts';
import { Cleanup } from '../support/cleanup.ts';
import { type Front, type FrontOptions, startFront } from '../support/front.ts';
import { codeOf, jsonOf, RawClient } from '../support/raw-client.ts';
import { startFixedUpstream, startRawUpstream, startUpstream } from '../support/upstream.ts';

const get = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

/** What no program should answer: the guard's name and the bytes; a 502 is what the client gets. */
const refused: [name: string, bytes: string][] = [
  // nginx and Go's net/http: Transfer-Encoding wins, the length is dropped.
  [
    'choose between two framings of an answer',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX',
  ],
  ['choose between two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok'],
  ['take a length that is no number', 'HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok'],
  // The coding would be lost with its header, and the client would take gzip for text.
  ['lose a coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
  ['lose a coding that ends with the connection', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok'],
  ['believe in HTTP/3 over TCP', 'HTTP/3.0 200 OK\r\nContent-Length: 2\r\n\r\nok'],
  // nginx takes such an answer for HTTP/0.9 and passes its bytes on as a body.
  ['pass on an answer without a status line', '<html>hello</html>'],
  ['pass on a status of two digits', 'HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok'],
  ['pass on a status that is no number', 'HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok'],
  ['unfold header lines', 'HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok'],
  ['let a bare CR split a header', 'HTTP/1.1 200 OK\r\nX-A: b\rX-Injected: c\r\nContent-Length: 2\r\n\r\nok'],
  ['let NUL into a header', 'HTTP/1.1 200 OK\r\nX-A: b\x00c\r\nContent-Length: 2\r\n\r\nok'],
  ['let spaces into a header name', 'HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 2\r\n\r\nok'],
  ['take headers without end', `HTTP/1.1 200 OK\r\nX-A: ${'b'.repeat(100_000)}\r\nContent-Length: 2\r\n\r\nok`],
  // Go passes the 101 on since CVE-2018-1002105 only when the client asked for it; nginx passes it on.
  [
    'let a sandbox switch protocols unasked',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
  ],
  ['wait after a 101 without a protocol', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
  ['take a 101 for an interim answer', 'HTTP/1.1 101 Go on\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'],
];

describe('hostile answers', () => {
  const cleanup = new Cleanup();

  async function connect(
    answer: string,
    options: Partial<FrontOptions> = {},
  ): Promise<{ client: RawClient; front: Front }> {
    const upstream = cleanup.add(await startFixedUpstream(answer));
    const front = cleanup.add(await startFront({ upstream: upstream.origin, ...options }));
    return { front, client: cleanup.close(await RawClient.connect(front.port)) };
  }

  for (const [name, bytes] of refused) {
    it(`does not ${name}`, async () => {
      const { client } = await connect(bytes);
      client.send(get);
      await client.hear(/}\n$/);
      expect(jsonOf(client.text)).to.include({ kind: 'Status', reason: 'UpstreamFailed', code: 502 });
    });
  }

  it('does not wait without end for headers that trickle in', async () => {
    const upstream = cleanup.add(
      await startRawUpstream((socket) => {
        socket.once('data', () => {
          socket.write('HTTP/1.1 200 OK\r\n');
          const timer = setInterval(() => socket.write('X-A: b\r\n'), 50);
          socket.once('close', () => clearInterval(timer));
        });
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin, answerTimeoutMs: 300 }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send(get);
    await client.hear(/}\n$/);
    expect(jsonOf(client.text)).to.include({ reason: 'UpstreamTimeout', code: 504 });
  });

  it('does not take interim answers without end', async () => {
    let closed = false;
    const upstream = cleanup.add(
      await startRawUpstream((socket) => {
        const flood = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n'.repeat(100);
        const more = () => {
          while (!socket.destroyed && socket.write(flood));
        };
        socket.once('data', more).on('drain', more);
        socket.once('close', () => {
          closed = true;
        });
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send(get);
    await client.hear(/}\n$/);
    expect(client.text).to.match(/\r\n\r\nHTTP\/1\.1 502 /);
    await until('the sandbox to be stopped', () => closed);
  });

  it('does not poison the next answer with what a sandbox sends after one', async () => {
    // undici before GHSA-35p6-xmwp-9g52 took it for the answer to the next request on the connection.
    const second = 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned';
    const { client } = await connect(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${second}`);
    for (let count = 1; count <= 5; count += 1) {
      client.send(get);
      await client.hear(new RegExp(`(?:ok[\\s\\S]*){${count}}$`));
    }
    expect(client.text).not.to.contain('poisoned');
  });

  it('does not pass on more bytes than announced', async () => {
    const { client } = await connect('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokay and much more');
    client.send(get);
    await client.hear(/\r\n\r\nok$/);
    client.send(get);
    await client.hear(/\r\n\r\nok[\s\S]*\r\n\r\nok$/);
  });

  it('does not pass on a body of a HEAD answer, nor take it for the next answer', async () => {
    const upstream = cleanup.add(await startFixedUpstream('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody'));
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send('HEAD / HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.hear(/\r\n\r\n$/);
    expect(client.text).to.match(/content-length: 4/i);
    client.send(get);
    await client.hear(/\r\n\r\nbody$/);
    expect(client.text.match(/body/g)).to.have.length(1);
  });

  for (const code of [204, 304]) {
    it(`does not pass on a body of a ${code}, nor take it for the next answer`, async () => {
      const head = code === 204 ? '204 No Content' : '304 Not Modified\r\nETag: "a"';
      const { client } = await connect(`HTTP/1.1 ${head}\r\nContent-Length: 4\r\n\r\nbody`);
      client.send(get);
      await client.hear(/\r\n\r\n$/);
      client.send(get);
      await client.hear(new RegExp(`\r\n\r\nHTTP/1.1 ${code} [\\s\\S]*\r\n\r\n$`));
      expect(client.text).not.to.contain('body');
      // What GET would have brought (RFC 9110 §8.6); a 204 must not have it.
      if (code === 304) expect(client.text).to.match(/content-length: 4/i);
      else expect(client.text).not.to.match(/content-length/i);
    });
  }

  it('does not lose one of two cookies', async () => {
    const { client } = await connect(
      'HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok',
    );
    client.send(get);
    expect(await client.hear(/ok$/)).to.contain('Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n');
  });

  it('does not follow a redirect, nor rewrite it', async () => {
    // The aggregator makes a 502 of it (CVE-2022-3172); nginx rewrites Location by default (proxy_redirect).
    const { client } = await connect(
      'HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/x\r\nContent-Length: 0\r\n\r\n',
    );
    client.send(get);
    expect(await client.hear(/\r\n\r\n$/)).to.contain('Location: http://169.254.169.254/x\r\n');
  });

  it('does not decode a compressed body', async () => {
    const { client } = await connect('HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\ng\xe9\xff');
    client.send(get);
    expect(await client.hear(/g\xe9\xff$/)).to.contain('Content-Encoding: gzip\r\n');
  });

  it('does not ask for compression on its own', async () => {
    // Go's http.Transport would, and would decode the answer.
    const seen: (string | undefined)[] = [];
    const upstream = cleanup.add(
      await startUpstream((request, response) => {
        seen.push(request.headers['accept-encoding'], request.headers['user-agent']);
        response.end('ok');
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send(get);
    await client.hear(/ok/);
    // Nor does it name itself as the user agent, which Go's ReverseProxy has to suppress.
    expect(seen).to.deep.equal([undefined, undefined]);
  });

  it('does not let a sandbox close the connection of a client', async () => {
    const { client } = await connect('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok');
    client.send(get);
    await client.hear(/ok$/);
    client.send(get);
    await client.hear(/ok[\s\S]*ok$/);
    expect(client.text).not.to.match(/connection: close/i);
  });

  it('does not break on a status above 599', async () => {
    const { client } = await connect('HTTP/1.1 799 What\r\nContent-Length: 2\r\n\r\nok');
    client.send(get);
    await client.hear(/ok$/);
    expect(codeOf(client.text)).to.equal(799);
  });

  it('does not fail because a sandbox announces trailers with a length', async () => {
    // Node throws for such an answer of its own (ERR_HTTP_TRAILER_INVALID).
    const { client } = await connect('HTTP/1.1 200 OK\r\nTrailer: X-T\r\nContent-Length: 2\r\n\r\nok');
    client.send(get);
    expect(await client.hear(/\r\n\r\nok$/)).to.match(/^HTTP\/1\.1 200 /);
  });
});
