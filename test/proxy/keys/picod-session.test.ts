import { expect } from 'chai';
import { useCluster } from '../../support/cluster.ts';
import { https } from '../../support/http.ts';
import { freePort, usePicod } from './support/picod.ts';

describe('a CodeInterpreter of AgentCube, with its own PicoD', () => {
  const env = useCluster();
  const picod = usePicod();
  const space = env.namespace('picod');
  const base = () => `/apis/sojourn.dev/v1alpha1/namespaces/${space.name}/sessions/cube/proxy`;
  let token = '';

  before(async function () {
    this.timeout(60_000);
    const port = await freePort();
    await env.client.request({
      method: 'POST',
      path: `/apis/runtime.agentcube.volcano.sh/v1alpha1/namespaces/${space.name}/codeinterpreters`,
      body: {
        apiVersion: 'runtime.agentcube.volcano.sh/v1alpha1',
        kind: 'CodeInterpreter',
        metadata: { name: 'cube' },
        // No authMode: the default is AgentCube's.
        spec: {
          ports: [{ port, pathPrefix: '/', protocol: 'HTTP' }],
          template: {
            image: 'local/process',
            command: [picod.file],
            args: ['--port', String(port)],
            environment: [{ name: 'PICOD_AUTH_PUBLIC_KEY', value: 'not a key' }],
          },
        },
      },
    });
    await env.client.request({
      method: 'POST',
      path: `/apis/sojourn.dev/v1alpha1/namespaces/${space.name}/sessions`,
      body: {
        apiVersion: 'sojourn.dev/v1alpha1',
        kind: 'Session',
        metadata: { name: 'cube' },
        spec: { runtimeRef: { kind: 'CodeInterpreter', name: 'cube' } },
      },
    });
    await env.kubectl(['create', 'serviceaccount', 'caller', '-n', space.name]);
    const binding = ['create', 'rolebinding', 'caller', '-n', space.name, '--clusterrole=sojourn-session-user'];
    await env.kubectl([...binding, `--serviceaccount=${space.name}:caller`]);
    token = (await env.kubectl(['create', 'token', 'caller', '-n', space.name])).stdout.trim();
    const wait = ['wait', '-n', space.name, '--for=condition=Ready', 'session/cube', '--timeout=30s'];
    const ready = await env.kubectl(wait);
    expect(ready.code, ready.stderr).to.equal(0);
  });

  for (const front of ['kube-apiserver', 'proxy'] as const) {
    describe(`through ${front === 'proxy' ? 'the proxy' : front}`, () => {
      const call = async (method: string, path: string, body?: object) => {
        const server = front === 'proxy' ? env.cluster.proxyUrl : env.cluster.plane.server;
        return await https({
          url: `${server}${base()}${path}`,
          ca: env.ca,
          method,
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        });
      };

      it('executes', async () => {
        const answer = await call('POST', '/api/execute', { command: ['sh', '-c', 'echo $((6 * 7))'] });
        expect(answer.status, answer.text).to.equal(200);
        expect(JSON.parse(answer.text)).to.include({ stdout: '42\n', exit_code: 0 });
      });

      it('takes a file and gives it back', async () => {
        const content = `through ${front}`;
        const file = { path: `${front}.txt`, content: Buffer.from(content).toString('base64') };
        const uploaded = await call('POST', '/api/files', file);
        expect(uploaded.status, uploaded.text).to.equal(200);
        const downloaded = await call('GET', `/api/files/${front}.txt`);
        expect([downloaded.status, downloaded.text]).to.deep.equal([200, content]);
      });
    });
  }
});
