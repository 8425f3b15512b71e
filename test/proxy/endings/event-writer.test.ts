import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { KubeClient } from '../../../apis/client/transport.ts';
import { createLog } from '../../../apis/runtime/log.ts';
import { EventWriter } from '../../../proxy/invocation/endings/event-writer.ts';
import type { CoreEvent } from '../../../proxy/invocation/endings/session-event.ts';
import { until } from '../../support/until.ts';

describe('Events that wait to be written', () => {
  /** Namespaces of the Events that came, in order. */
  const arrived: string[] = [];
  let server: Server;
  let client: KubeClient;
  let writer: EventWriter;

  beforeEach(async () => {
    arrived.length = 0;
    // As a kube-apiserver with a policy that takes its time over the Events of one namespace.
    server = createServer((request, response) => {
      const [, namespace = ''] = /namespaces\/([^/]+)\//.exec(request.url ?? '') ?? [];
      arrived.push(namespace);
      void delay(namespace === 'noisy' ? 100 : 0).then(() => response.writeHead(201).end('{}'));
      request.resume();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    client = new KubeClient({ server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
    writer = new EventWriter(client, createLog({ write: () => undefined }));
  });
  afterEach(async () => {
    await client.close();
    await writer.stop();
    server.closeAllConnections();
    server.close();
  });

  const event = (namespace: string, name: string): CoreEvent => ({
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { namespace, name },
    involvedObject: {},
    type: 'Normal',
    reason: 'Created',
    message: name,
  });
  const quietCame = () => arrived.includes('quiet');

  it('of one namespace do not hold up those of another', async () => {
    for (let number = 0; number < 1_000; number += 1) writer.write(event('noisy', `e${number}`), 0);
    writer.write(event('quiet', 'e'), 0);
    await until('the other one', quietCame);
    expect(arrived.indexOf('quiet')).to.be.lessThan(20);
    await until('one of the many', () => arrived.includes('noisy'));
  });

  it('of one namespace leave room for those of another, however many there are', async () => {
    for (let number = 0; number < 30_000; number += 1) writer.write(event('noisy', `e${number}`), 60_000);
    expect(writer.waits(event('noisy', 'e29999'))).to.equal(false);
    writer.write(event('quiet', 'e'), 0);
    await until('the other one', quietCame);
  });
});
