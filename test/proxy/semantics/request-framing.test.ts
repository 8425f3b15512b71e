import { expect } from 'chai';
import { until } from '../../support/until.ts';
import { Cleanup } from '../support/cleanup.ts';
import { startFront } from '../support/front.ts';
import { codeOf, exchange, jsonOf, RawClient } from '../support/raw-client.ts';
import { startFixedUpstream } from '../support/upstream.ts';

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const post = 'POST / HTTP/1.1\r\nHost: x\r\n';
const get = 'GET / HTTP/1.1\r\nHost: x\r\n';
const chunked = `${post}Transfer-Encoding: chunked\r\n\r\n`;

/** Bytes about whose end two programs could disagree, the guard's name, and the code they are refused with. */
const refused: [name: string, bytes: string, code?: number][] = [
  // nginx answers 400 too; Go's net/http drops the length and forwards (RFC 9112 §6.1 allows both).
  [
    'choose between Content-Length and Transfer-Encoding',
    `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX`,
  ],
  ['take a body that is said to be chunked twice', `${post}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`],
  [
    'take two Transfer-Encoding headers',
    `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    'let an unknown coding hide behind chunked',
    `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n\r\n0\r\n\r\n`,
  ],
  // Node's parser alone lets these two pass and would forward the body without the coding.
  [
    'let an unknown coding hide before chunked',
    `${post}Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    501,
  ],
  ['lose the gzip of "gzip, chunked"', `${post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 501],
  ['take xchunked for chunked', `${post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
  ['take parameters of chunked', `${post}Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n`],
  ['take a quoted chunked', `${post}Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n`],
  ['take a vertical tab for white space', `${post}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`],
  // RFC 7230 removed it; Go refuses it with 501.
  ['take identity for a coding', `${post}Transfer-Encoding: identity\r\n\r\n`],
  // RFC 9112 §6.1: a proxy of version 1.0 on the way has not seen the chunks. Go ignores the header, nginx refuses it.
  ['take chunks from HTTP/1.0', 'POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nX\r\n0\r\n\r\n'],
  // Go accepts equal ones and sends one; nginx refuses them.
  ['take the same Content-Length twice', `${post}Content-Length: 1\r\nContent-Length: 1\r\n\r\nX`],
  ['take two different Content-Lengths', `${post}Content-Length: 1\r\nContent-Length: 2\r\n\r\nX`],
  ['take a list as Content-Length', `${post}Content-Length: 1, 1\r\n\r\nX`],
  ['take a signed Content-Length', `${post}Content-Length: +1\r\n\r\nX`],
  ['take a negative Content-Length', `${post}Content-Length: -1\r\n\r\nX`],
  ['take a hexadecimal Content-Length', `${post}Content-Length: 0x1\r\n\r\nX`],
  ['take an empty Content-Length', `${post}Content-Length:\r\n\r\n`],
  ['let a Content-Length overflow', `${post}Content-Length: 18446744073709551617\r\n\r\nX`],
  // Go joins the lines with a space (RFC 9112 §5.2 lets a server refuse).
  ['unfold a header line', `${get}X-A: b\r\n c\r\n\r\n`],
  ['take a first line that begins with a space', 'GET / HTTP/1.1\r\n Host: x\r\nHost: x\r\n\r\n'],
  // nginx and Go take a bare LF for the end of a line (RFC 9112 §2.2 allows it).
  ['take a bare LF for the end of a line', 'GET / HTTP/1.1\nHost: x\n\n'],
  ['take a bare LF within headers', 'GET / HTTP/1.1\r\nHost: x\nX-A: b\r\n\r\n'],
  ['take a bare CR for anything', 'GET / HTTP/1.1\r\nHost: x\rX-A: b\r\n\r\n'],
  ['take NUL in a value', `${get}X-A: b\x00c\r\n\r\n`],
  ['take NUL in a name', `${get}X\x00A: b\r\n\r\n`],
  ['take a space before the colon', `${post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`],
  ['take a line without a colon', `${get}X-A\r\n\r\n`],
  ['take a header without a name', `${get}: b\r\n\r\n`],
  ['guess the host of HTTP/1.1', 'GET / HTTP/1.1\r\n\r\n'],
  ['choose between two hosts', `${get}Host: y\r\n\r\n`],
  ['let a chunk size overflow', `${chunked}fffffffffffffffff\r\nX\r\n0\r\n\r\n`],
  ['take 0x before a chunk size', `${chunked}0x1\r\nX\r\n0\r\n\r\n`],
  ['take a negative chunk size', `${chunked}-1\r\nX\r\n0\r\n\r\n`],
  // nginx takes it.
  ['take a space after a chunk size', `${chunked}1 \r\nX\r\n0\r\n\r\n`],
  // CVE-2025-22871: Go's net/http took it until 1.24.2.
  ['take a bare LF after a chunk extension', `${chunked}1;a\nX\r\n0\r\n\r\n`],
  ['take bare LFs around chunks', `${chunked}1\nX\n0\n\n`],
  ['take a chunk that is longer than its size', `${chunked}1\r\nXY\r\n0\r\n\r\n`],
  ['take an empty chunk size', `${chunked}\r\n0\r\n\r\n`],
  ['take a Content-Length from a trailer', `${chunked}1\r\nX\r\n0\r\nContent-Length: 7\r\n\r\n`],
  // CVE-2023-39326: Go read any amount of them.
  ['read chunk extensions without end', `${chunked}1;a=${'b'.repeat(20_000)}\r\nX\r\n0\r\n\r\n`, 413],
  ['read headers without end', `${get}X-A: ${'b'.repeat(200_000)}\r\n\r\n`, 431],
  ['speak HTTP/0.9', 'GET /\r\n\r\n', 505],
  ['speak HTTP/1.2', 'GET / HTTP/1.2\r\nHost: x\r\n\r\n'],
  ['speak the text "HTTP/2.0"', 'GET / HTTP/2.0\r\nHost: x\r\n\r\n', 505],
  ['take methods in small letters', 'get / HTTP/1.1\r\nHost: x\r\n\r\n'],
  // nginx and Go forward to the authority's path.
  ['take an absolute-form target', 'GET http://evil.example/ HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['take an authority-form target', 'GET evil.example:80 HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['become a tunnel', 'CONNECT evil.example:80 HTTP/1.1\r\nHost: evil.example:80\r\n\r\n', 405],
  ['take HTTP/2 without TLS', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
];

describe('request framing', () => {
  const cleanup = new Cleanup();

  async function connect(): Promise<{ client: RawClient; upstream: Awaited<ReturnType<typeof startFixedUpstream>> }> {
    const upstream = cleanup.add(await startFixedUpstream(ok));
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    return { client: cleanup.close(await RawClient.connect(front.port)), upstream };
  }

  for (const [name, bytes, code = 400] of refused) {
    it(`does not ${name}`, async () => {
      const { client, upstream } = await connect();
      client.send(bytes);
      await client.hear(/}\n$/);
      expect(codeOf(client.text)).to.equal(code);
      expect(jsonOf(client.text)).to.include({ kind: 'Status', status: 'Failure', code });
      expect(upstream.heard()).to.equal('');
    });
  }

  it('does not lose the chunks of a body whose length is not known', async () => {
    const { client, upstream } = await connect();
    client.send(`${chunked}3;name="value"\r\nabc\r\n0\r\n\r\n`);
    await client.hear(/ok$/);
    // Extensions are of one connection (RFC 9112 §7.1.1).
    expect(upstream.heard()).to.match(/\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n$/i);
  });

  it('does not make a body of a GET without one, nor lose that of a GET with one', async () => {
    const { client, upstream } = await connect();
    client.send(`${get}\r\n`);
    await client.hear(/ok$/);
    expect(upstream.heard()).not.to.match(/content-length|transfer-encoding/i);
    // Go's ReverseProxy keeps it as well; RFC 9110 §9.3.1 gives it no meaning.
    client.send(`${get}Content-Length: 3\r\n\r\nabc`);
    await client.hear(/ok.*ok$/s);
    expect(upstream.heard()).to.match(/content-length: 3\r\n\r\nabc$/i);
  });

  it('does not put trailers of a request among its headers', async () => {
    const { client, upstream } = await connect();
    // undici cannot send trailers, so they are dropped (RFC 9110 §6.5.1 allows it, merging it forbids); Go sends them.
    client.send(
      `${post}Trailer: Authorization\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nX\r\n0\r\nAuthorization: a\r\n\r\n`,
    );
    await client.hear(/ok$/);
    expect(upstream.heard()).not.to.match(/trailer|authorization/i);
  });

  it('does not drop a header because of an underscore, nor take it for the one with a dash', async () => {
    const { client, upstream } = await connect();
    // nginx drops it unless underscores_in_headers is on.
    client.send(`${get}Content_Length: 3\r\n\r\n`);
    await client.hear(/ok$/);
    expect(upstream.heard()).to.contain('\r\nContent_Length: 3\r\n');
  });

  it('does not mix up pipelined requests', async () => {
    const { client, upstream } = await connect();
    client.send(['/1', '/2', '/3'].map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''));
    await client.hear(/ok.*ok.*ok$/s);
    // Each waits for the connection of the one before, or has one of its own: never two on one at once.
    for (const path of ['/1', '/2', '/3']) expect(upstream.heard()).to.contain(`GET ${path} HTTP/1.1\r\n`);
  });

  it('does not answer a request with the refusal of the bytes behind it', async () => {
    const { client, upstream } = await connect();
    client.send(`${post}Content-Length: 1\r\n\r\nXGARBAGE\r\n\r\n`);
    await client.over();
    expect(client.text).not.to.contain('400');
    expect(upstream.heard()).not.to.contain('GARBAGE');
  });

  it('does not forward what follows a refused request on its connection', async () => {
    const { client, upstream } = await connect();
    client.send(`${post}Content-Length: 1\r\nContent-Length: 2\r\n\r\nX${get}\r\n`);
    await client.over();
    expect(client.text.match(/^HTTP\/1\.1 /gm)).to.have.length(1);
    expect(upstream.heard()).to.equal('');
  });

  it('does not keep the connection of an HTTP/1.0 client that does not ask for it', async () => {
    const { client } = await connect();
    client.send('GET / HTTP/1.0\r\n\r\n');
    await client.over();
    expect(client.text).to.match(/^HTTP\/1\.1 200 OK\r\n.*ok$/s);
    expect(client.ended).to.equal(true);
  });

  it('does not close the connection of an HTTP/1.0 client that asks to keep it', async () => {
    const { client } = await connect();
    client.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    await client.hear(/ok$/);
    client.send('GET / HTTP/1.0\r\n\r\n');
    await client.hear(/ok.*ok$/s);
  });

  it('does not send chunks to an HTTP/1.0 client', async () => {
    const answer =
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n';
    const upstream = cleanup.add(await startFixedUpstream(answer));
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const text = await exchange(front.port, 'GET / HTTP/1.0\r\n\r\n');
    expect(text).to.match(/\r\n\r\nok$/);
    expect(text).not.to.match(/transfer-encoding|trailer|X-T/i);
  });

  it('does not end the process when a client leaves while its upload is being connected', async () => {
    const { client, upstream } = await connect();
    // The whole of it arrives at once, so that the request is broken before there is a connection to the sandbox.
    client.send(`${chunked}zz\r\n`);
    await client.over();
    const next = await connect();
    next.client.send(`${get}\r\n`);
    await next.client.hear(/ok$/);
    expect(upstream.heard()).to.equal('');
  });

  it('does not leave a sandbox with half a request when its chunks turn out to be broken', async () => {
    const { client, upstream } = await connect();
    client.send(`${chunked}3\r\nabc\r\n`);
    await until('the first chunk', () => upstream.heard().endsWith('abc'));
    client.send('zz\r\n');
    await client.over();
    expect(upstream.heard()).not.to.match(/0\r\n\r\n$/);
  });
});
