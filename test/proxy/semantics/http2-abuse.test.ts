import { expect } from 'chai';
import { until } from '../../support/until.ts';
import { newServingCertificate, type ServingCertificate } from '../support/certificate.ts';
import { Cleanup } from '../support/cleanup.ts';
import { type Front, startFront } from '../support/front.ts';
import { block, RawHttp2Client } from '../support/raw-http2-client.ts';
import { startFixedUpstream, startUpstream } from '../support/upstream.ts';

type Fields = readonly (readonly [string, string])[];

const get: Fields = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', '/'],
  [':authority', 'x'],
];
const post: Fields = [[':method', 'POST'], ...get.slice(1)];

function withPseudo(name: string, value: string): Fields {
  return get.map(([key, old]) => [key, key === name ? value : old]);
}

/** Requests that could become two in HTTP/1.1, or be understood in two ways: all are reset or refused, none is forwarded. */
const refused: [name: string, fields: Fields][] = [
  ['carry Connection over', [...get, ['connection', 'close']]],
  ['carry Transfer-Encoding over', [...post, ['transfer-encoding', 'chunked']]],
  ['carry Keep-Alive over', [...get, ['keep-alive', 'timeout=5']]],
  ['carry Proxy-Connection over', [...get, ['proxy-connection', 'keep-alive']]],
  ['carry Upgrade over', [...get, ['upgrade', 'websocket']]],
  ['carry a TE other than trailers over', [...get, ['te', 'gzip']]],
  ['take names in capitals', [...get, ['X-A', 'b']]],
  ['take two paths', [...get, [':path', '/other']]],
  ['take a pseudo header after a header', [...get.slice(0, 3), ['x-a', 'b'], [':authority', 'x']]],
  ['take a pseudo header nobody knows', [...get, [':evil', 'b']]],
  ['take the pseudo header of an answer', [...get, [':status', '200']]],
  ['take a request without a path', get.filter(([name]) => name !== ':path')],
  ['take an empty path', withPseudo(':path', '')],
  ['take a path that is none', withPseudo(':path', 'evil')],
  ['let a path bring a request of its own', withPseudo(':path', '/ HTTP/1.1\r\nHost: x\r\n\r\nGET /smuggled')],
  ['let a method bring a request of its own', withPseudo(':method', 'GET /smuggled HTTP/1.1\r\nX-A:')],
  ['take two lengths', [...post, ['content-length', '1'], ['content-length', '2']]],
  ['take a length of a request that has ended', [...post, ['content-length', '5']]],
];

/** Fields that nghttp2 leaves out of a request which it takes otherwise; Go's and nginx's HTTP/2 reset the stream. */
const dropped: [name: string, fields: Fields][] = [
  ['let a value bring a header of its own', [...get, ['x-a', 'b\r\nX-Injected: c']]],
  ['let a value bring a request of its own', [...get, ['x-a', 'b\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x']]],
  ['let a bare LF into a value', [...get, ['x-a', 'b\nX-Injected: c']]],
  ['let NUL into a value', [...get, ['x-a', 'b\x00c']]],
  ['let a colon into a name', [...get, ['x-a: b\r\nx-injected', 'c']]],
  ['take an empty name', [...get, ['', 'b']]],
];

describe('http2 abuse', () => {
  const cleanup = new Cleanup();
  let certificate: ServingCertificate;

  before(async () => {
    certificate = await newServingCertificate();
  });

  async function connect(upstream: string): Promise<{ client: RawHttp2Client; front: Front }> {
    const front = cleanup.add(await startFront({ upstream, tls: certificate }));
    return { front, client: cleanup.close(await RawHttp2Client.connect(front.port, certificate.ca)) };
  }

  async function connectToOk(): Promise<{
    client: RawHttp2Client;
    front: Front;
    upstream: Awaited<ReturnType<typeof startFixedUpstream>>;
  }> {
    const upstream = cleanup.add(await startFixedUpstream('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
    return { ...(await connect(upstream.origin)), upstream };
  }

  for (const [name, fields] of refused) {
    it(`does not ${name}`, async () => {
      const { client, front, upstream } = await connectToOk();
      client.request(1, fields);
      await until(
        'a refusal',
        () => client.resetOf(1) !== undefined || client.answered(1) || client.goaway !== undefined,
      );
      expect(upstream.heard()).to.equal('');
      // The process goes on.
      const other = cleanup.close(await RawHttp2Client.connect(front.port, certificate.ca));
      other.request(1, get);
      await until('an answer', () => other.answered(1));
    });
  }

  for (const [name, fields] of dropped) {
    it(`does not ${name}`, async () => {
      const { client, upstream } = await connectToOk();
      client.request(1, fields);
      await until('an answer', () => client.answered(1));
      expect(upstream.heard()).to.match(/^GET \/ HTTP\/1\.1\r\n(?:[^\r\n]+\r\n)+\r\n$/);
      expect(upstream.heard()).not.to.match(/injected|smuggled|x-a|\r\n:|\0/i);
    });
  }

  it('does not send a body that is shorter or longer than its length', async () => {
    for (const body of ['ab', 'abcdef']) {
      const { client, upstream } = await connectToOk();
      client.request(1, [...post, ['content-length', '3']], { end: false });
      client.send({ type: 0, flags: 1, stream: 1, payload: Buffer.from(body) });
      await until('a reset', () => client.resetOf(1) !== undefined || client.goaway !== undefined);
      expect(upstream.heard()).not.to.match(/\r\n\r\n(?:abc|ab$)[\s\S]*\r\n\r\n|abcd/);
    }
  });

  it('does not become a tunnel by CONNECT, extended or not (RFC 8441)', async () => {
    const { client, upstream } = await connectToOk();
    client.request(1, [
      [':method', 'CONNECT'],
      [':authority', 'evil.example:80'],
    ]);
    await until('a refusal', () => client.answered(1) || client.resetOf(1) !== undefined);
    client.request(3, [[':method', 'CONNECT'], [':protocol', 'websocket'], ...get.slice(1)]);
    await until(
      'a refusal',
      () => client.answered(3) || client.resetOf(3) !== undefined || client.goaway !== undefined,
    );
    expect(upstream.heard()).to.equal('');
  });

  it('does not work on for streams that are reset at once, without end (CVE-2023-44487)', async () => {
    const { client } = await connectToOk();
    // Node allows a burst of 1,000 and 33 more in each second.
    for (let stream = 1; stream < 20_000 && client.goaway === undefined && !client.over; stream += 2) {
      client.request(stream, get);
      client.send({ type: 3, flags: 0, stream, payload: Buffer.from([0, 0, 0, 8]) });
      if (stream % 500 === 1) await new Promise((resolve) => setImmediate(resolve));
    }
    await until('the end of the connection', () => client.over || client.goaway !== undefined);
  }).timeout(120_000);

  it('does not keep a header block without end (CONTINUATION flood, CVE-2024-27316)', async () => {
    const { client, upstream } = await connectToOk();
    client.send({ type: 1, flags: 1, stream: 1, payload: block(get) });
    const payload = block([['x-a', 'b'.repeat(8_000)]]);
    for (let sent = 0; sent < 2_000 && client.goaway === undefined && !client.over; sent += 1) {
      client.send({ type: 9, flags: 0, stream: 1, payload });
      if (sent % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await until('the end of the connection', () => client.over || client.goaway !== undefined);
    expect(upstream.heard()).to.equal('');
  });

  for (const [what, frame] of [
    ['pings', { type: 6, flags: 0, stream: 0, payload: Buffer.alloc(8) }],
    ['settings', { type: 4, flags: 0, stream: 0, payload: Buffer.from([0, 3, 0, 0, 0, 100]) }],
  ] as const) {
    it(`does not queue answers to ${what} for a client that reads none`, async () => {
      const { client, front } = await connectToOk();
      client.socket.pause();
      for (let sent = 0; sent < 400_000 && !client.over; sent += 1) {
        client.send(frame);
        if (sent % 2_000 === 0) {
          client.socket.resume();
          await new Promise((resolve) => setImmediate(resolve));
          client.socket.pause();
        }
        if (client.socket.writableLength > 4_000_000) break;
      }
      client.socket.resume();
      // Either it is cut off (nghttp2 queues 1,000 answers), or it was never read beyond what the kernel holds.
      await until(
        'an end of it',
        () => client.over || client.goaway !== undefined || client.socket.writableLength === 0,
      );
      const other = cleanup.close(await RawHttp2Client.connect(front.port, certificate.ca));
      other.request(1, get);
      await until('an answer to somebody else', () => other.answered(1));
    });
  }

  it('does not take more streams at once than allowed', async () => {
    const upstream = cleanup.add(await startUpstream(() => undefined));
    const { client } = await connect(upstream.origin);
    await until('settings', () => client.frames.some(({ type }) => type === 4));
    const settings = client.frames.find(({ type, flags }) => type === 4 && flags === 0)?.payload ?? Buffer.alloc(0);
    const most = [...Array(settings.length / 6).keys()]
      .filter((i) => settings.readUInt16BE(i * 6) === 3)
      .map((i) => settings.readUInt32BE(i * 6 + 2));
    expect(most).to.deep.equal([1000]);
    for (let stream = 1; stream <= 2_003; stream += 2) client.request(stream, get);
    // REFUSED_STREAM says that it may be sent again.
    await until('a refusal', () => client.resetOf(2_003) === 7 || client.goaway !== undefined);
  });

  it('does not stop the streams in flight when it says goodbye', async () => {
    const answers: (() => void)[] = [];
    const upstream = cleanup.add(
      await startUpstream((_request, response) => {
        answers.push(() => response.end('late'));
      }),
    );
    const front = await startFront({ upstream: upstream.origin, tls: certificate });
    const client = cleanup.close(await RawHttp2Client.connect(front.port, certificate.ca));
    client.request(1, get);
    await until('the request', () => answers.length === 1);
    const stopped = front.drain();
    await until('a GOAWAY', () => client.goaway !== undefined);
    expect(client.goaway).to.equal(0);
    answers[0]?.();
    await until('the answer', () => client.frames.some(({ type, payload }) => type === 0 && payload.includes('late')));
    await stopped;
    await front.stop();
  });
});
