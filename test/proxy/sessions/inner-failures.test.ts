import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { Registry } from 'prom-client';
import { KubeClient } from '../../../apis/client/transport.ts';
import type { Session } from '../../../apis/v1alpha1/types.ts';
import type { Caller } from '../../../proxy/access/caller.ts';
import { defaultLimits, InFlight } from '../../../proxy/invocation/limits.ts';
import { CallerSessions } from '../../../proxy/sessions/caller-sessions.ts';

describe('a creation or deletion that fails on the inside', () => {
  // What kube-apiserver's aggregation layer answers while our API server is away.
  const inner = 'error trying to reach service: dial tcp 10.0.0.7:6443: connect: connection refused';
  let server: Server;
  let client: KubeClient;

  before(async () => {
    server = createServer((_request, response) => response.writeHead(503).end(`${inner}\n`)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    client = new KubeClient({ server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  });

  after(async () => {
    await client.close();
    server.close();
  });

  it('keeps its status and tells no address of the cluster', async () => {
    const sessions = new CallerSessions({ client, inFlight: new InFlight(defaultLimits), registry: new Registry() });
    const caller: Caller = { user: { username: 'alice', groups: [] }, credential: { kind: 'token', token: 't' } };
    const session = { metadata: { namespace: 'ns', name: 'box', uid: 'u' } } as Session;
    const failures = await Promise.all([
      sessions.create(caller, 'ns', { kind: 'CodeInterpreter', name: 'py' }).catch((error) => error),
      sessions.delete(caller, session).catch((error) => error),
    ]);
    for (const failure of failures) {
      expect(failure).to.include({ reason: 'ServiceUnavailable', code: 503, retryAfterSeconds: 1 });
      expect(JSON.stringify(failure.toStatus())).to.not.contain('10.0.0.7');
      expect(failure.cause.message).to.equal(inner);
    }
  });
});
