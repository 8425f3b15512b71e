import { once } from 'node:events';
import type { Socket } from 'node:net';
import { expect } from 'chai';
import { until } from '../../support/until.ts';
import { Cleanup } from '../support/cleanup.ts';
import { type FrontOptions, startFront } from '../support/front.ts';
import { codeOf, jsonOf, RawClient } from '../support/raw-client.ts';
import { startFixedUpstream, startRawUpstream } from '../support/upstream.ts';

const upgrade = 'GET /tty HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tty/1\r\n\r\n';
const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n';
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('upgrade smuggling', () => {
  const cleanup = new Cleanup();

  async function connect(
    answer: string,
    options: Partial<FrontOptions> = {},
  ): Promise<{ client: RawClient; upstream: Awaited<ReturnType<typeof startFixedUpstream>> }> {
    const upstream = cleanup.add(await startFixedUpstream(answer));
    const front = cleanup.add(await startFront({ upstream: upstream.origin, ...options }));
    return { client: cleanup.close(await RawClient.connect(front.port)), upstream };
  }

  it('does not leave a tunnel open when the sandbox answers 200', async () => {
    // CVE-2018-1002105: kube-apiserver did, for any code, and what came next went past its authorisation.
    const { client, upstream } = await connect(ok);
    client.send(upgrade + smuggled);
    await client.over();
    expect(client.text).to.match(/^HTTP\/1\.1 200 OK\r\n[\s\S]*connection: close\r\n[\s\S]*\r\n\r\nok$/i);
    expect(upstream.heard()).not.to.contain('/smuggled');
  });

  it('does not switch to a protocol nobody asked for', async () => {
    // nginx does; Go's ReverseProxy checks it as well.
    const { client } = await connect(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n',
    );
    client.send(upgrade);
    await client.over();
    expect(jsonOf(client.text)).to.include({ reason: 'UpstreamFailed', code: 502 });
  });

  it('does not wait after a 101 that names no protocol', async () => {
    const { client } = await connect('HTTP/1.1 101 Switching Protocols\r\n\r\n');
    client.send(upgrade);
    await client.over();
    expect(jsonOf(client.text)).to.include({ reason: 'UpstreamFailed', code: 502 });
  });

  it('does not wait for an answer behind interim ones without end', async () => {
    const upstream = cleanup.add(
      await startRawUpstream((socket) => {
        const timer = setInterval(() => socket.write('HTTP/1.1 102 Processing\r\n\r\n'), 20);
        socket.once('close', () => clearInterval(timer));
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin, handshakeTimeoutMs: 200 }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send(upgrade);
    await client.over();
    expect(jsonOf(client.text)).to.include({ reason: 'UpstreamTimeout', code: 504 });
  });

  it('does not lose a coding of a refusal', async () => {
    const { client } = await connect(
      'HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n',
    );
    client.send(upgrade);
    await client.over();
    expect(codeOf(client.text)).to.equal(502);
  });

  it('does not make a whole of a refusal that breaks off', async () => {
    const asked = Promise.withResolvers<Socket>();
    const upstream = cleanup.add(
      await startRawUpstream((socket) => {
        socket.once('data', () => {
          socket.write('HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\nonly this');
          asked.resolve(socket);
        });
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send(upgrade);
    await client.hear(/only this$/);
    (await asked.promise).destroy();
    await client.over();
    expect(client.errorCode).to.equal('ECONNRESET');
  });

  it('does not speak HTTP/2 with the sandbox behind everybody’s back (h2c)', async () => {
    // RFC 9113 §3.1 has removed it; forwarded, every later request would go past authentication. The client (Java's asks
    // each time) is answered in HTTP/1.1, as RFC 9110 §7.8 has it.
    const { client, upstream } = await connect(ok);
    const h2c = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n';
    client.send(`GET / HTTP/1.1\r\nHost: x\r\n${h2c}`);
    expect(await client.hear(/ok$/)).to.match(/^HTTP\/1\.1 200 OK\r\n/);
    expect(upstream.heard()).not.to.match(/upgrade|h2c|http2-settings/i);
    client.send(`GET /next HTTP/1.1\r\nHost: x\r\n\r\n`);
    await client.hear(/ok[\s\S]*ok$/);
  });

  it('does not let h2c hide in a list', async () => {
    const { client, upstream } = await connect(ok);
    client.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket, H2C\r\n\r\n');
    await client.hear(/ok$/);
    expect(upstream.heard()).not.to.match(/upgrade/i);
  });

  it('does not upgrade HTTP/1.0', async () => {
    const { client, upstream } = await connect(ok);
    client.send(upgrade.replace('HTTP/1.1', 'HTTP/1.0'));
    await client.over();
    expect(client.text).to.match(/^HTTP\/1\.1 200 OK\r\n/);
    expect(upstream.heard()).not.to.match(/upgrade/i);
  });

  it('does not upgrade because of an Upgrade header that Connection does not name', async () => {
    const { client, upstream } = await connect(ok);
    client.send('GET / HTTP/1.1\r\nHost: x\r\nUpgrade: tty/1\r\n\r\n');
    await client.hear(/ok$/);
    expect(upstream.heard()).not.to.match(/upgrade/i);
  });

  it('does not take the body of an upgrade request for the new protocol’s first bytes before there is one', async () => {
    const { client, upstream } = await connect(ok);
    client.send(upgrade.replace('\r\n\r\n', `\r\nContent-Length: ${smuggled.length}\r\n\r\n`) + smuggled);
    await client.over();
    expect(upstream.heard()).not.to.match(/smuggled|content-length: [1-9]/i);
  });

  it('does not answer an upgrade in front of an earlier request', async () => {
    const waiting: Socket[] = [];
    const upstream = cleanup.add(
      await startRawUpstream((socket) => {
        socket.once('data', () => waiting.push(socket));
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send(`GET /first HTTP/1.1\r\nHost: x\r\n\r\n${upgrade}`);
    await client.over();
    expect(client.text).to.equal('');
  });

  it('does not keep the sandbox’s side when the client leaves during the handshake', async () => {
    const accepted = Promise.withResolvers<Socket>();
    const upstream = cleanup.add(
      await startRawUpstream((socket) => {
        socket.once('data', () => accepted.resolve(socket));
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = await RawClient.connect(front.port);
    client.send(upgrade);
    const sandbox = await accepted.promise;
    const closed = once(sandbox, 'close');
    client.socket.resetAndDestroy();
    await closed;
    await until('the end to be noted', () => front.ends.length === 1);
    expect(front.ends).to.deep.equal(['client-gone']);
  });
});
