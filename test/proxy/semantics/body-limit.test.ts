import { expect } from 'chai';
import { until } from '../../support/until.ts';
import { Cleanup } from '../support/cleanup.ts';
import { startFront } from '../support/front.ts';
import { jsonOf, RawClient } from '../support/raw-client.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const limitBytes = 100_000;

describe('body limit', () => {
  const cleanup = new Cleanup();
  let upstream: Upstream;
  let asked: number;
  let cut: number;

  beforeEach(async () => {
    asked = 0;
    cut = 0;
    upstream = cleanup.add(
      await startUpstream((request, response) => {
        asked += 1;
        let bytes = 0;
        request.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
        });
        request.on('aborted', () => {
          cut += 1;
        });
        request.on('end', () => response.end(`${bytes} bytes`));
      }),
    );
  });

  async function connect(): Promise<RawClient> {
    const front = cleanup.add(await startFront({ upstream: upstream.origin, limitBytes }));
    return cleanup.close(await RawClient.connect(front.port));
  }

  it('passes a body of exactly the limit', async () => {
    const client = await connect();
    client.send(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${limitBytes}\r\n\r\n`);
    client.send(Buffer.alloc(limitBytes, 'x'));
    await client.hear(new RegExp(`${limitBytes} bytes`));
  });

  it('refuses an announced length above it without asking the sandbox', async () => {
    const client = await connect();
    client.send(`POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${limitBytes + 1}\r\n\r\n`);
    await client.hear(/}\n$/);
    expect(jsonOf(client.text)).to.include({ kind: 'Status', reason: 'RequestEntityTooLarge', code: 413 });
    expect(asked).to.equal(0);
  });

  it('refuses a chunked body at the limit and stops the sandbox', async () => {
    const client = await connect();
    client.send('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    const piece = Buffer.concat([Buffer.from('2710\r\n'), Buffer.alloc(10_000, 'x'), Buffer.from('\r\n')]);
    for (let sent = 0; sent <= limitBytes; sent += 10_000) client.send(piece);
    await client.hear(/}\n$/);
    expect(client.text).to.match(/^HTTP\/1\.1 413 /);
    expect(jsonOf(client.text)).to.include({ reason: 'RequestEntityTooLarge' });
    await until('the sandbox to be stopped', () => asked === cut);
  });

  it('keeps a chunked body chunked and a length a length', async () => {
    const seen: (string | undefined)[][] = [];
    const inspecting = cleanup.add(
      await startUpstream((request, response) => {
        seen.push([request.headers['transfer-encoding'], request.headers['content-length']]);
        request.resume().on('end', () => response.end('ok'));
      }),
    );
    const front = cleanup.add(await startFront({ upstream: inspecting.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n');
    client.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc');
    client.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n');
    await until('three requests', () => seen.length === 3);
    expect(seen).to.deep.equal([
      ['chunked', undefined],
      [undefined, '3'],
      [undefined, '0'],
    ]);
  });
});
