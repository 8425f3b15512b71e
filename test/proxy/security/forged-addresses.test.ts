import { expect } from 'chai';
import { sandboxApi } from '../../../apis/names.ts';
import { useControlPlane, useNamespace } from '../../support/control-plane.ts';
import { until } from '../../support/until.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { codeOf } from '../support/raw-client.ts';
import { TestSessions } from '../support/sessions.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

describe('a forged address of a sandbox', () => {
  const plane = useControlPlane();
  const namespace = useNamespace(plane);
  let sessions: TestSessions;
  let gateway: TestGateway;
  let own: Upstream;
  let victim: Upstream;
  let sandboxUid = '';
  let reached = 0;

  before(async () => {
    own = await startUpstream((_request, response) => response.end('own'));
    victim = await startUpstream((_request, response) => {
      reached += 1;
      response.end('victim');
    });
    sessions = new TestSessions(plane.client, () => namespace.name);
    gateway = await startGateway({ client: plane.client, readyTimeoutMs: 20_000 });
    const { metadata } = await sessions.create({
      name: 'a',
      endpoints: [{ pathPrefix: '/', port: own.port, protocol: 'HTTP' }],
    });
    await sessions.makeReady('a');
    sandboxUid = metadata.uid ?? '';
  });
  after(async () => {
    await gateway.stop();
    await own.stop();
    await victim.stop();
  });

  const call = (headers: string[] = []) => gateway.call(namespace.name, 'a', { headers });

  it('in the Sandbox’s status is not looked at: the Pod’s own is dialled', async () => {
    await until('the session to answer', async () => codeOf(await call()) === 200);
    // Whoever may write sandboxes/status can say this.
    await plane.client.request({
      method: 'PATCH',
      path: `${sandboxApi.path}/namespaces/${namespace.name}/${sandboxApi.resource}/a/status`,
      contentType: 'application/merge-patch+json',
      body: {
        status: {
          serviceFQDN: `127.0.0.1:${victim.port}`,
          service: 'kubernetes.default.svc',
          podIPs: ['169.254.169.254'],
          conditions: [
            {
              type: 'Ready',
              status: 'True',
              reason: 'x',
              message: '',
              lastTransitionTime: new Date().toISOString(),
              observedGeneration: 1,
            },
          ],
        },
      },
    });
    for (let round = 0; round < 20; round += 1) expect(await call()).to.match(/^HTTP\/1\.1 200 .*own$/s);
    expect(reached).to.equal(0);
  });

  it('in the Pod’s status that no Pod can have is not dialled, however it is written', async () => {
    const forged = ['169.254.169.254', '0.0.0.0', '::ffff:169.254.169.254', 'fe80::1', '224.0.0.1', 'fd00:ec2::254'];
    for (const address of forged) {
      const status = { podIP: address, podIPs: [{ ip: address }] };
      const path = `/api/v1/namespaces/${namespace.name}/pods/a/status`;
      const patched = await plane.client.requestRaw({
        method: 'PATCH',
        path,
        contentType: 'application/merge-patch+json',
        body: { status },
      });
      // kube-apiserver takes some of them for no address at all.
      if (patched.status !== 200) continue;
      await until(`${address} to be known`, () => gateway.path.pods.podOf(sandboxUid)?.address === address);
      const answer = await call();
      expect(codeOf(answer), address).to.equal(502);
      expect(answer).not.to.contain(address);
    }
    await sessions.makeReady('a');
    await until('the session to answer', async () => codeOf(await call()) === 200);
  });

  it('in a header chooses nothing', async () => {
    const headers = [`X-Forwarded-Host: 127.0.0.1:${victim.port}`, `Forwarded: host=127.0.0.1:${victim.port}`];
    expect(await call(headers)).to.match(/own$/);
    const target = `http://127.0.0.1:${victim.port}/`;
    const answer = await gateway.call(namespace.name, 'a', { target: `/${target}` });
    expect(answer).to.match(/own$/);
    expect(reached).to.equal(0);
  });
});
