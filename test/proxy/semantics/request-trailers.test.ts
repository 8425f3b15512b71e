import { once } from 'node:events';
import { connect } from 'node:http2';
import { expect } from 'chai';
import { until } from '../../support/until.ts';
import { newServingCertificate } from '../support/certificate.ts';
import { Cleanup } from '../support/cleanup.ts';
import { type FrontOptions, startFront } from '../support/front.ts';
import { RawClient } from '../support/raw-client.ts';
import { startFixedUpstream, startRawUpstream, startUpstream } from '../support/upstream.ts';

const head = 'POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n';
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('trailers of a request', () => {
  // nginx drops them; Go's ReverseProxy announces them and sends none (its clone of the request has none yet).
  const cleanup = new Cleanup();

  /** A program that answers with what it heard, once it has heard all of it. */
  async function startHearing() {
    return cleanup.add(
      await startUpstream((request, response) => {
        let length = 0;
        request.on('data', (chunk: Buffer) => {
          length += chunk.length;
        });
        request.on('end', () => {
          const { rawHeaders, rawTrailers } = request;
          response.end(JSON.stringify({ length, rawHeaders, rawTrailers }));
        });
      }),
    );
  }

  async function through(origin: string, options: Partial<FrontOptions> = {}): Promise<RawClient> {
    const front = cleanup.add(await startFront({ upstream: origin, ...options }));
    return cleanup.close(await RawClient.connect(front.port));
  }

  const heardIn = (text: string) =>
    JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1)) as {
      length: number;
      rawHeaders: string[];
      rawTrailers: string[];
    };

  it('are not dropped when they were announced', async () => {
    const client = await through((await startHearing()).origin);
    client.send(`${head}Trailer: X-Sum, X-More\r\n\r\n2\r\nhi\r\n`);
    client.send('0\r\nX-Sum: abc\r\nX-More: 1\r\n\r\n');
    const { length, rawHeaders, rawTrailers } = heardIn(await client.hear(/\]}/));
    expect(length).to.equal(2);
    expect(rawHeaders.join('|')).to.contain('Trailer|X-Sum, X-More').and.to.contain('Transfer-Encoding|chunked');
    expect(rawTrailers).to.deep.equal(['X-Sum', 'abc', 'X-More', '1']);
  });

  it('are not dropped on their way from HTTP/2', async () => {
    const certificate = await newServingCertificate();
    const upstream = await startHearing();
    const front = cleanup.add(await startFront({ upstream: upstream.origin, tls: certificate }));
    const session = connect(`https://127.0.0.1:${front.port}`, { ca: certificate.ca });
    cleanup.add({ stop: () => session.destroy() });
    const stream = session.request({ ':method': 'POST', ':path': '/', trailer: 'x-sum' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'abc' }));
    stream.end('hi');
    let text = '';
    stream.setEncoding('latin1').on('data', (part: string) => {
      text += part;
    });
    await once(stream, 'end');
    expect(heardIn(text)).to.deep.include({ length: 2, rawTrailers: ['x-sum', 'abc'] });
  });

  it('come after the whole of a long body', async () => {
    const client = await through((await startHearing()).origin);
    client.send(`${head}Trailer: X-Sum\r\n\r\n`);
    const chunk = Buffer.alloc(65_536, 'a');
    for (let i = 0; i < 100; i += 1) {
      client.send('10000\r\n');
      client.send(chunk);
      client.send('\r\n');
    }
    client.send('0\r\nX-Sum: abc\r\n\r\n');
    expect(heardIn(await client.hear(/\]}/))).to.deep.include({ length: 6_553_600, rawTrailers: ['X-Sum', 'abc'] });
  });

  it('do not smuggle in what no client may say, nor what is about framing', async () => {
    const client = await through((await startHearing()).origin, { authorization: 'Bearer ours' });
    const forged = ['Authorization', 'X-Remote-User', 'Sojourn-On-Behalf-Of', 'X-Forwarded-For', 'Content-Type'];
    client.send(`${head}Connection: X-Hop\r\nTrailer: X-Sum, X-Hop, ${forged.join(', ')}\r\n\r\n2\r\nhi\r\n0\r\n`);
    client.send(`${[...forged, 'X-Hop', 'Host', 'Cookie'].map((name) => `${name}: 1\r\n`).join('')}X-Sum: abc\r\n\r\n`);
    const { rawHeaders, rawTrailers } = heardIn(await client.hear(/\]}/));
    expect(rawTrailers).to.deep.equal(['X-Sum', 'abc']);
    expect(rawHeaders.join('|')).to.contain('Trailer|X-Sum|').and.to.contain('authorization|Bearer ours');
  });

  it('leave the answer as it is: hints, chunks, trailers', async () => {
    const upstream = cleanup.add(
      await startFixedUpstream(
        'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 201 Created\r\nTrailer: X-B\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-B: 2\r\n\r\n',
      ),
    );
    const client = await through(upstream.origin);
    client.send(`${head}Trailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: abc\r\n\r\n`);
    const text = await client.hear(/\r\n0\r\nx-b: 2\r\n\r\n$/i);
    expect(text).to.match(/^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 201 Created\r\n/);
  });

  it('do not hide that an answer was cut', async () => {
    const upstream = cleanup.add(
      await startRawUpstream((socket) => {
        socket.once('data', () => {
          socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n', () => socket.destroy());
        });
      }),
    );
    const client = await through(upstream.origin);
    client.send(`${head}Trailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: abc\r\n\r\n`);
    await client.over();
    expect(client.text).not.to.match(/\r\n0\r\n\r\n$/);
    expect(client.errorCode).to.equal('ECONNRESET');
  });

  it('do not keep a program busy whose client has gone', async () => {
    let gone = false;
    const upstream = cleanup.add(
      await startUpstream((request, response) => {
        response.on('close', () => {
          gone = true;
        });
        request.resume();
        response.write('begun');
      }),
    );
    const client = await through(upstream.origin);
    client.send(`${head}Trailer: X-Sum\r\n\r\n2\r\nhi\r\n`);
    await client.hear(/begun/);
    client.close();
    await until('the program to see its client go', () => gone);
  });

  it('may be spared by a program that answers early', async () => {
    const upstream = cleanup.add(await startFixedUpstream(ok));
    const client = await through(upstream.origin);
    client.send(`${head}Trailer: X-Sum\r\n\r\n2\r\nhi\r\n`);
    await client.hear(/ok$/);
  });

  it('do not lift the limit of bodies', async () => {
    const client = await through((await startHearing()).origin, { limitBytes: 3 });
    client.send(`${head}Trailer: X-Sum\r\n\r\n4\r\nfour\r\n0\r\nX-Sum: abc\r\n\r\n`);
    expect(await client.hear(/\r\n\r\n/)).to.match(/^HTTP\/1\.1 413 /);
  });

  it('do not make an error of another kind when nothing listens, or nothing answers', async () => {
    const absent = await startHearing();
    await absent.stop();
    const nobody = await through(absent.origin);
    nobody.send(`${head}Trailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: abc\r\n\r\n`);
    expect(await nobody.hear(/\r\n\r\n/)).to.match(/^HTTP\/1\.1 502 /);
    const mute = cleanup.add(await startRawUpstream((socket) => socket.resume()));
    const patient = await through(mute.origin, { answerTimeoutMs: 200 });
    patient.send(`${head}Trailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: abc\r\n\r\n`);
    expect(await patient.hear(/\r\n\r\n/)).to.match(/^HTTP\/1\.1 504 /);
  });
});
