import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { expect } from 'chai';
import WebSocket, { WebSocketServer } from 'ws';
import { until } from '../../support/until.ts';
import { Cleanup } from '../support/cleanup.ts';
import { type Front, sessionId, startFront } from '../support/front.ts';
import { codeOf, jsonOf, RawClient } from '../support/raw-client.ts';
import { startRawUpstream, startUpstream } from '../support/upstream.ts';

const upgrade = 'GET /tty HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tty/1\r\n\r\n';

describe('websocket upgrade', () => {
  const cleanup = new Cleanup();

  /** A WebSocket server in a sandbox, behind the proxy. */
  async function startWebSocketServer(authorization?: string): Promise<{
    server: WebSocketServer;
    front: Front;
    requests: IncomingMessage[];
  }> {
    const server = new WebSocketServer({ noServer: true, handleProtocols: (protocols) => [...protocols][0] ?? false });
    const requests: IncomingMessage[] = [];
    const upstream = cleanup.add(
      await startUpstream(
        (_request, response) => response.end(),
        (http) =>
          http.on('upgrade', (request, socket, head) => {
            requests.push(request);
            server.handleUpgrade(request, socket, head, (websocket) => {
              server.emit('connection', websocket, request);
            });
          }),
      ),
    );
    cleanup.add({
      stop: () => {
        for (const websocket of server.clients) websocket.terminate();
      },
    });
    const options = authorization === undefined ? {} : { authorization };
    return { server, front: cleanup.add(await startFront({ upstream: upstream.origin, ...options })), requests };
  }

  /** A program that switches to a protocol of its own and hands out its end of the connection. */
  async function startSwitching(): Promise<{ front: Front; switched: Promise<Socket>; heard: () => string }> {
    const switched = Promise.withResolvers<Socket>();
    let heard = '';
    const upstream = cleanup.add(
      await startRawUpstream((socket) => {
        socket.on('data', (chunk) => {
          heard += chunk.toString();
          if (heard !== chunk.toString()) return;
          socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tty/1\r\n\r\nwelcome ');
          switched.resolve(socket);
        });
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    return { front, switched: switched.promise, heard: () => heard };
  }

  it('carries messages both ways, large ones too', async () => {
    const { server, front } = await startWebSocketServer();
    server.on('connection', (websocket) => websocket.on('message', (data) => websocket.send(data)));
    const client = new WebSocket(`ws://127.0.0.1:${front.port}/echo?x=1`);
    const echoed: number[] = [];
    client.on('message', (data: Buffer) => echoed.push(data.length));
    await new Promise((resolve) => client.once('open', resolve));
    for (const size of [1, 70_000, 5_000_000]) client.send(Buffer.alloc(size));
    await until('three echoes', () => echoed.length === 3);
    expect(echoed).to.deep.equal([1, 70_000, 5_000_000]);
    client.terminate();
    await until('the end to be noted', () => front.ends.length === 1);
    expect(front.ends).to.deep.equal(['answered']);
  });

  it('authenticates by our token, never by the client’s own', async () => {
    const { front, requests } = await startWebSocketServer('Bearer ours');
    const own = 'base64url.bearer.authorization.k8s.io.c2VjcmV0';
    const client = new WebSocket(`ws://127.0.0.1:${front.port}/x`, ['chat.v1', own], {
      headers: { authorization: 'Bearer the-users-own', 'x-remote-user': 'admin' },
    });
    await new Promise((resolve) => client.once('open', resolve));
    client.terminate();
    expect(client.protocol).to.equal('chat.v1');
    const headers = requests[0]?.headers;
    expect(headers?.authorization).to.equal('Bearer ours');
    expect(headers?.['sec-websocket-protocol']).to.equal('chat.v1');
    expect(headers).not.to.have.property('x-remote-user');
  });

  it('carries any other protocol, with the first bytes of either side', async () => {
    const { front, switched, heard } = await startSwitching();
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send(`${upgrade}hello`);
    const sandbox = await switched;
    await client.hear(/^HTTP\/1\.1 101 Switching Protocols\r\n[\s\S]*\r\n\r\nwelcome $/);
    expect(client.text).to.contain(`x-agentcube-session-id: ${sessionId}`);
    await until('the first bytes', () => heard().endsWith('\r\n\r\nhello'));
    sandbox.write('and more');
    await client.hear(/welcome and more$/);
  });

  it('closes the sandbox’s side when the client leaves', async () => {
    const { front, switched } = await startSwitching();
    const client = await RawClient.connect(front.port);
    client.send(upgrade);
    await client.hear(/welcome/);
    const sandbox = await switched;
    client.socket.resetAndDestroy();
    await until('the sandbox’s side to close', () => sandbox.destroyed || sandbox.readableEnded);
  });

  it('closes the client’s side when the sandbox ends, after its last bytes', async () => {
    const { front, switched } = await startSwitching();
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send(upgrade);
    const last = Buffer.alloc(3_000_000, 'z');
    (await switched).end(last);
    await client.over();
    expect(client.ended).to.equal(true);
    expect(client.text.length).to.be.greaterThan(last.length);
    expect(client.text.endsWith('zzz')).to.equal(true);
  });

  it('resets the client’s side when the sandbox breaks off', async () => {
    const { front, switched } = await startSwitching();
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send(upgrade);
    await client.hear(/welcome/);
    (await switched).resetAndDestroy();
    await client.over();
    expect(client.errorCode).to.equal('ECONNRESET');
  });

  it('passes on a refusal and closes the connection, so that nothing else goes over it', async () => {
    let requests = 0;
    const upstream = cleanup.add(
      await startUpstream((_request, response) => {
        requests += 1;
        response.writeHead(426, { 'content-type': 'text/plain' }).end('not like this');
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send(`${upgrade}GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n`);
    await client.over();
    expect(client.ended).to.equal(true);
    expect(client.text).to.match(/^HTTP\/1\.1 426 .*connection: close.*not like this$/is);
    expect(requests).to.equal(1);
  });

  it('sends a refused POST without a body', async () => {
    const heard: string[] = [];
    const upstream = cleanup.add(
      await startRawUpstream((socket) => {
        socket.once('data', (data) => {
          heard.push(data.toString());
          socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
        });
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send(upgrade.replace('GET', 'POST').replace('\r\n\r\n', '\r\nContent-Length: 5\r\n\r\nhello'));
    await client.over();
    expect(client.text).to.match(/^HTTP\/1\.1 403 /);
    expect(heard.join(''))
      .to.match(/content-length: 0\r\n/i)
      .and.not.match(/hello|content-length: 5|chunked/i);
  });

  it('answers 502 as a Status when nothing listens', async () => {
    const upstream = await startUpstream(() => undefined);
    await upstream.stop();
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send(upgrade);
    await client.over();
    expect(codeOf(client.text)).to.equal(502);
    expect(jsonOf(client.text)).to.include({ kind: 'Status', reason: 'UpstreamFailed' });
  });
});
