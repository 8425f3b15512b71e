import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { KubeClient } from '../../../apis/client/transport.ts';
import { until } from '../../support/until.ts';

describe('requests to kube-apiserver', () => {
  it('share a limited number of connections, however many are asked for at once', async () => {
    const waiting: ServerResponse[] = [];
    let connections = 0;
    const server = createServer((_request, response) => waiting.push(response)).listen(0, '127.0.0.1');
    server.on('connection', () => {
      connections += 1;
    });
    await once(server, 'listening');
    const client = new KubeClient({ server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
    const answers = Promise.all(Array.from({ length: 400 }, (_, i) => client.requestRaw({ path: `/${i}` })));
    await until('the connections to be in use', () => waiting.length === 128);
    // Whoever would open another connection would have done so by the time these are answered.
    let answered = 0;
    await until('all to be answered', () => {
      for (const response of waiting.splice(0)) {
        response.end('{}');
        answered += 1;
      }
      return answered === 400;
    });
    expect((await answers).map(({ status }) => status)).to.deep.equal(Array.from({ length: 400 }, () => 200));
    expect(connections).to.equal(128);
    await client.close();
    server.close();
  });
});
