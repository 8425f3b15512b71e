import { once } from 'node:events';
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import { expect } from 'chai';
import { newServingCertificate, type ServingCertificate } from '../support/certificate.ts';
import { Cleanup } from '../support/cleanup.ts';
import { startFront } from '../support/front.ts';
import { RawClient } from '../support/raw-client.ts';
import { startFixedUpstream, startUpstream } from '../support/upstream.ts';

const get = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
const withTrailers =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Grpc-Status, X-Sum\r\n\r\n2\r\nok\r\n0\r\n';

describe('trailers and interim answers', () => {
  const cleanup = new Cleanup();
  let certificate: ServingCertificate;

  before(async () => {
    certificate = await newServingCertificate();
  });

  async function overHttp1(answer: string): Promise<RawClient> {
    const upstream = cleanup.add(await startFixedUpstream(answer));
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    return cleanup.close(await RawClient.connect(front.port));
  }

  async function overHttp2(origin: string): Promise<ClientHttp2Session> {
    const front = cleanup.add(await startFront({ upstream: origin, tls: certificate }));
    const session = connect(`https://127.0.0.1:${front.port}`, { ca: certificate.ca });
    cleanup.add({ stop: () => session.destroy() });
    await once(session, 'connect');
    return session;
  }

  it('does not drop the trailers of an answer', async () => {
    // nginx does (but for gRPC and proxy_pass_trailers since 1.27.2).
    const client = await overHttp1(`${withTrailers}Grpc-Status: 0\r\nX-Sum: abc\r\n\r\n`);
    client.send(get);
    const text = await client.hear(/\r\n\r\n$/);
    expect(text).to.contain('\r\nTrailer: Grpc-Status, X-Sum\r\n');
    expect(text).to.match(/\r\n0\r\ngrpc-status: 0\r\nx-sum: abc\r\n\r\n$/i);
  });

  it('does not drop trailers that nobody announced', async () => {
    // Go's ReverseProxy sends such only since 1.8, and only if the body was flushed.
    const client = await overHttp1(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: abc\r\n\r\n',
    );
    client.send(get);
    await client.hear(/\r\n0\r\nx-sum: abc\r\n\r\n$/i);
  });

  it('does not let trailers be about framing, credentials or the session', async () => {
    const client = await overHttp1(
      [
        `${withTrailers}X-Sum: abc`,
        'Set-Cookie: a=1',
        'X-Agentcube-Session-Id: forged',
        'Content-Type: text/html',
        'Connection: X-Sum',
        '',
        '',
      ].join('\r\n'),
    );
    client.send(get);
    const text = await client.hear(/\r\n0\r\n[\s\S]*\r\n\r\n$/);
    expect(text.slice(text.indexOf('\r\n0\r\n'))).to.match(/^\r\n0\r\nx-sum: abc\r\n\r\n$/i);
  });

  it('does not lose gRPC’s trailers over HTTP/2', async () => {
    const upstream = cleanup.add(
      await startFixedUpstream(`${withTrailers}Grpc-Status: 0\r\nX-Sum: a\r\nX-Sum: b\r\nETag: a\r\nETag: b\r\n\r\n`),
    );
    const session = await overHttp2(upstream.origin);
    const stream = session.request({ ':path': '/', te: 'trailers' });
    const trailers = once(stream, 'trailers') as Promise<[IncomingHttpHeaders]>;
    await once(stream.resume(), 'end');
    const [fields] = await trailers;
    // Two ETags would make Node throw.
    expect(fields).to.include({ 'grpc-status': '0', 'x-sum': 'a, b', etag: 'a' });
    // RFC 9113 §8.2.2 allows this one value; servers of gRPC insist on it.
    expect(upstream.heard()).to.match(/\r\nTE: trailers\r\n/);
  });

  it('does not pass on any other TE', async () => {
    const upstream = cleanup.add(await startFixedUpstream('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send('GET / HTTP/1.1\r\nHost: x\r\nTE: gzip;q=0.5\r\n\r\n');
    await client.hear(/ok$/);
    expect(upstream.heard()).not.to.match(/\r\nTE:/i);
    client.send('GET / HTTP/1.1\r\nHost: x\r\nTE: gzip, trailers\r\n\r\n');
    await client.hear(/ok[\s\S]*ok$/);
    expect(upstream.heard()).to.match(/\r\nTE: trailers\r\n/);
  });

  it('does not lose early hints', async () => {
    // nginx drops interim answers before 1.29; Go's ReverseProxy passes them on since 1.20.
    const client = await overHttp1(
      'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: X-Gone\r\nX-Gone: 1\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    );
    client.send(get);
    expect(await client.hear(/ok$/)).to.match(
      /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>\r\n\r\nHTTP\/1\.1 200 OK\r\n/,
    );
  });

  it('does not lose a sign of life (102) before a late answer', async () => {
    const client = await overHttp1(
      'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    );
    client.send(get);
    expect(await client.hear(/ok$/)).to.match(/^(?:HTTP\/1\.1 102 Processing\r\n\r\n){2}HTTP\/1\.1 200 OK\r\n/);
  });

  it('does not send interim answers to HTTP/1.0', async () => {
    const client = await overHttp1(
      'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    );
    client.send('GET / HTTP/1.0\r\n\r\n');
    expect(await client.hear(/ok$/)).to.match(/^HTTP\/1\.1 200 OK\r\n/);
  });

  it('does not lose early hints over HTTP/2', async () => {
    const upstream = cleanup.add(
      await startFixedUpstream(
        'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nLink: </b.css>\r\nDate: a\r\nDate: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
      ),
    );
    const session = await overHttp2(upstream.origin);
    const stream = session.request({ ':path': '/' });
    const [hints] = (await once(stream, 'headers')) as [IncomingHttpHeaders];
    expect(hints).to.include({ ':status': 103, link: '</a.css>, </b.css>' });
    const [headers] = (await once(stream.resume(), 'response')) as [IncomingHttpHeaders];
    expect(headers[':status']).to.equal(200);
  });

  it('does not give a client’s Expect to the sandbox, whose 100 would come twice', async () => {
    const seen: (string | undefined)[] = [];
    const upstream = cleanup.add(
      await startUpstream((request, response) => {
        seen.push(request.headers.expect);
        request.resume().on('end', () => response.end('ok'));
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n');
    await client.hear(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
    client.send('hi');
    expect(await client.hear(/ok/)).not.to.match(/100 Continue[\s\S]*100 Continue/);
    expect(seen).to.deep.equal([undefined]);
  });

  it('does not promise what it does not know (Expect: x)', async () => {
    const client = await overHttp1('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    client.send('GET / HTTP/1.1\r\nHost: x\r\nExpect: x\r\n\r\n');
    // RFC 9110 §10.1.1; nginx ignores it.
    expect(await client.hear(/\r\n\r\n/)).to.match(/^HTTP\/1\.1 417 /);
  });
});
