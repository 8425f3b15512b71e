import { expect } from 'chai';
import type { Status } from '../../../apis/machinery/meta.ts';
import type { RunningProxy } from '../../../proxy/server.ts';
import { useControlPlane, useNamespace } from '../../support/control-plane.ts';
import { requestText } from '../support/gateway.ts';
import { startReadyProxy } from '../support/proxy.ts';
import { codeOf, exchange, jsonOf } from '../support/raw-client.ts';

describe('impersonation at the proxy', () => {
  const plane = useControlPlane();
  const namespace = useNamespace(plane);
  let proxy: RunningProxy;
  let token: string;

  before(async () => {
    await plane.kubectl(['create', 'serviceaccount', 'robot', '-n', namespace.name]);
    token = (await plane.kubectl(['create', 'token', 'robot', '-n', namespace.name])).stdout.trim();
    proxy = await startReadyProxy(plane);
  });
  after(() => proxy.stop());

  const headers = [
    'Impersonate-User: alice',
    'impersonate-group: a',
    'Impersonate-Uid: 1',
    'Impersonate-Extra-Scopes: x',
  ];

  it('is refused in words, and never ignored, on our own path', async () => {
    for (const header of headers) {
      const text = requestText(namespace.name, 'a', { headers: [`Authorization: Bearer ${token}`, header] });
      for (const request of [text, text.replace('Connection: close', 'Connection: Upgrade\r\nUpgrade: tty/1')]) {
        const answer = await exchange(proxy.port, request);
        expect(codeOf(answer), header).to.equal(400);
        expect(jsonOf<Status>(answer).message).to.contain('count at kube-apiserver only');
      }
    }
  });

  it('is refused on AgentCube’s paths', async () => {
    for (const line of [
      `POST /v1/namespaces/${namespace.name}/code-interpreters/py/invocations/x`,
      'POST /v1/code-interpreter',
      'DELETE /v1/code-interpreter/sessions/0b1b2c3d-0000-5000-8000-000000000001',
    ]) {
      const fields = `Host: proxy\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\nImpersonate-User: alice`;
      const answer = await exchange(proxy.port, `${line} HTTP/1.1\r\n${fields}\r\nContent-Length: 0\r\n\r\n`);
      expect(codeOf(answer), line).to.equal(400);
      expect(answer).to.contain('count at kube-apiserver only');
    }
  });

  it('tells nobody anything who is nobody', async () => {
    const text = requestText(namespace.name, 'a', { headers: ['Impersonate-User: alice'] });
    expect(codeOf(await exchange(proxy.port, text))).to.equal(401);
  });
});
