import { expect } from 'chai';
import { createRuntime } from '../../../hack/cluster/runtimes.ts';
import { useCluster } from '../../support/cluster.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { exchange, jsonOf } from '../support/raw-client.ts';
import { AgentCubeClients } from './clients.ts';

describe('a first call of AgentCube’s whose session does not become ready in time', () => {
  const env = useCluster();
  const space = env.namespace('slow');
  const clients = new AgentCubeClients(env, () => space.name);
  let gateway: TestGateway;

  before(async () => {
    await clients.accounts();
    const template = { image: 'registry.example/absent:1' };
    await createRuntime(env.client, space.name, { name: 'stuck', spec: { authMode: 'sojourn', template } });
    const user = { username: `system:serviceaccount:${space.name}:owner`, groups: ['system:serviceaccounts'] };
    gateway = await startGateway({ client: env.client, readyTimeoutMs: 300, user });
  });

  after(async () => {
    await gateway.stop();
  });

  it('is told when to come back, and to which session; its body was never asked for', async () => {
    const path = `${clients.invocations('code-interpreters', 'stuck')}/api/execute`;
    const lines = [`POST ${path} HTTP/1.1`, 'Host: proxy', 'Connection: close', 'Content-Length: 10'];
    const answer = await exchange(gateway.port, `${[...lines, 'Expect: 100-continue'].join('\r\n')}\r\n\r\n`);
    expect(answer).to.match(/^HTTP\/1\.1 503 /);
    expect(answer).not.to.contain('100 Continue');
    expect(answer).to.match(/\r\nretry-after: 1\r\n/i);
    expect(jsonOf(answer)).to.have.keys('error', 'code').and.to.include({ code: 'SessionNotReady' });
    const [session] = await clients.sessions();
    expect(answer).to.contain(`x-agentcube-session-id: ${session?.metadata.uid}\r\n`);
  });
});
