import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { expect } from 'chai';
import WebSocket from 'ws';
import { loadClusterConfig } from '../../../../apis/client/kubeconfig.ts';
import type { TestCluster } from '../../../support/cluster.ts';
import { Side, type SideName } from '../support/side.ts';

/** A watch over WebSocket, as browsers have it of kube-apiserver. */
export function watchSockets(env: TestCluster): void {
  const space = env.namespace('watch-sockets');

  /** The first event, or the refusal. */
  async function watched(name: SideName): Promise<string> {
    const side = new Side(name, { namespace: space.name, name: 'watched' });
    await env.client.request({ method: 'POST', path: side.collection, body: side.manifest() });
    const { server, ca, cert, key } = await loadClusterConfig(env.cluster.plane.kubeconfigs.admin);
    const query = 'watch=true&timeoutSeconds=20';
    const url = `${server.replace(/^http/, 'ws')}${side.collection}?${query}`;
    const socket = new WebSocket(url, { ca, cert, key, origin: 'https://browser.example' });
    try {
      const event = once(socket, 'message').then(([data]) => {
        const { type, object } = JSON.parse(String(data)) as { type: string; object: { metadata: { name: string } } };
        return `${type} ${object.metadata.name}`;
      });
      const refusal = once(socket, 'unexpected-response').then(([, answer]) => (answer as IncomingMessage).statusCode);
      return String(await Promise.race([event, refusal]));
    } finally {
      socket.terminate();
    }
  }

  it('a watch over WebSocket is sent what there is of the twin, and is refused for sessions', async () => {
    expect({ twin: await watched('twin'), session: await watched('session') }).to.deep.equal({
      twin: 'ADDED watched',
      session: '404',
    });
  });
}
