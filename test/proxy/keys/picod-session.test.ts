import { expect } from 'chai';
import { createRuntime } from '../../../hack/cluster/runtimes.ts';
import { callerToken, readySession, sessionsPath } from '../../support/caller.ts';
import { useCluster } from '../../support/cluster.ts';
import { freePort } from '../../support/free-port.ts';
import { https } from '../../support/http.ts';
import { usePicod } from './support/picod.ts';

describe('a CodeInterpreter of AgentCube, with its own PicoD', () => {
  const env = useCluster();
  const picod = usePicod();
  const space = env.namespace('picod');
  const base = () => `${sessionsPath(space.name)}/cube/proxy`;
  let token = '';

  before(async function () {
    this.timeout(60_000);
    const port = await freePort();
    await createRuntime(env.client, space.name, {
      name: 'cube',
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
    });
    token = await callerToken(env, space.name);
    await readySession(env, space.name, { name: 'cube', runtime: 'cube' });
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
