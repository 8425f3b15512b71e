import type { ServerResponse } from 'node:http';
import { expect } from 'chai';
import { Cleanup } from '../support/cleanup.ts';
import { startFront } from '../support/front.ts';
import { RawClient } from '../support/raw-client.ts';
import { startUpstream } from '../support/upstream.ts';

describe('server-sent events', () => {
  const cleanup = new Cleanup();

  /** Opens a stream through the proxy and gives both its ends. */
  async function open(): Promise<{ client: RawClient; response: ServerResponse }> {
    const asked = Promise.withResolvers<ServerResponse>();
    const upstream = cleanup.add(
      await startUpstream((_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.flushHeaders();
        asked.resolve(response);
      }),
    );
    const front = cleanup.add(await startFront({ upstream: upstream.origin }));
    const client = cleanup.close(await RawClient.connect(front.port));
    client.send('GET /events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n');
    return { client, response: await asked.promise };
  }

  it('brings the headers before there is any event', async () => {
    const { client } = await open();
    expect(await client.hear(/\r\n\r\n$/)).to.contain('text/event-stream');
  });

  it('brings each event when it is sent, not when others follow', async () => {
    const { client, response } = await open();
    for (const number of [1, 2, 3]) {
      response.write(`data: event ${number}\n\n`);
      await client.hear(new RegExp(`data: event ${number}\\n\\n\\r\\n$`));
    }
  });

  it('ends when the sandbox ends it, and the connection lives on', async () => {
    const { client, response } = await open();
    response.end('data: last\n\n');
    await client.hear(/data: last\n\n\r\n0\r\n\r\n$/);
    expect(client.ended).to.equal(false);
  });
});
