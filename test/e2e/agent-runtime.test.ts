import { readFile } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:tls';
import { expect } from 'chai';
import { createRuntime } from '../../hack/cluster/runtimes.ts';
import { callerToken, readySession, sessionsPath } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';
import { https } from '../support/http.ts';
import { untilMayCall } from '../support/rights.ts';
import { until } from '../support/until.ts';
import { echoRuntime } from './support/echo-agent.ts';

interface Echo {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string;
}

describe('an agent of one’s own', () => {
  const env = useCluster();
  const space = env.namespace('agent');
  const base = () => `${sessionsPath(space.name)}/agent/proxy`;
  let token = '';

  before(async function () {
    this.timeout(120_000);
    await createRuntime(env.client, space.name, echoRuntime);
    token = await callerToken(env, space.name);
    await readySession(env, space.name, { name: 'agent', kind: 'AgentRuntime', runtime: 'echo' });
  });

  for (const front of ['kube-apiserver', 'proxy'] as const) {
    describe(`through ${front === 'proxy' ? 'the proxy' : front}`, () => {
      const server = () => (front === 'proxy' ? env.cluster.proxyUrl : env.cluster.plane.server);
      const headers = (more: Record<string, string> = {}) => ({ authorization: `Bearer ${token}`, ...more });

      it('is asked by every method, with path, query and body', async () => {
        for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
          const body = method === 'GET' ? undefined : `body of ${method}`;
          const answer = await https({
            url: `${server()}${base()}/a/b%20c?x=1&y=2`,
            ca: env.ca,
            method,
            headers: headers(),
            ...(body === undefined ? {} : { body }),
          });
          expect(answer.status, answer.text).to.equal(method === 'DELETE' ? 202 : 200);
          expect(JSON.parse(answer.text)).to.deep.include({ method, url: '/a/b%20c?x=1&y=2', body: body ?? '' });
        }
        const head = await https({ url: `${server()}${base()}/`, ca: env.ca, method: 'HEAD', headers: headers() });
        expect([head.status, head.text]).to.deep.equal([200, '']);
      });

      it('sees neither the caller’s token nor identity headers, and the rest of the headers as they were', async () => {
        const sent = headers({
          'x-remote-user': 'forged',
          'x-own': 'kept',
          connection: 'x-nominated',
          'x-nominated': '1',
        });
        const answer = await https({ url: `${server()}${base()}/`, ca: env.ca, headers: sent });
        const seen = (JSON.parse(answer.text) as Echo).headers;
        expect(seen['x-own']).to.equal('kept');
        const secret = Object.keys(seen).filter((name) =>
          /^(authorization|x-remote-|impersonate-|sojourn-|x-nominated)/.test(name),
        );
        expect(secret).to.deep.equal([]);
      });

      it('streams events as they come, and learns when the reader leaves', async () => {
        const left = async () =>
          (await env.kubectl(['logs', 'agent', '-n', space.name])).stdout.split('listener left').length;
        const before = await left();
        const first = await new Promise<string>((resolve, reject) => {
          const call = httpsRequest(
            `${server()}${base()}/events`,
            { ca: env.ca, headers: headers(), agent: false },
            (response) => {
              response.once('data', (chunk: Buffer) => {
                resolve(chunk.toString('utf8'));
                call.destroy();
              });
            },
          );
          call.on('error', reject);
          call.end();
        });
        expect(first).to.equal('data: first\n\n');
        await until('the agent to see its reader leave', async () => (await left()) > before);
      });

      it('that breaks off is never taken for one that has ended', async () => {
        const failed = await https({ url: `${server()}${base()}/broken`, ca: env.ca, headers: headers() }).then(
          () => false,
          () => true,
        );
        expect(failed).to.equal(true);
      });

      it('cannot end the process that carries its answers', async () => {
        const name = front === 'proxy' ? 'sojourn-proxy' : 'sojourn-apiserver';
        const pid = () => env.cluster.plane.processes.find((candidate) => candidate.name === name)?.pid;
        const before = pid();
        const answer = await https({ url: `${server()}${base()}/dup`, ca: env.ca, headers: headers() });
        expect(answer.status).to.be.oneOf([200, 502]);
        const after = await https({ url: `${server()}${base()}/`, ca: env.ca, headers: headers() });
        expect([after.status, pid()]).to.deep.equal([200, before]);
      });

      it('is upgraded to any protocol, bytes both ways', async () => {
        const { hostname, port, host } = new URL(server());
        const socket = connect({ host: hostname, port: Number(port), ca: env.ca, ALPNProtocols: ['http/1.1'] });
        const seen: Buffer[] = [];
        socket.on('data', (chunk: Buffer) => seen.push(chunk));
        const text = () => Buffer.concat(seen).toString('latin1');
        socket.write(
          `GET ${base()}/shell HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n`,
        );
        await until('the 101', () => text().includes('hello '), { seen: text });
        expect(text()).to.match(/^HTTP\/1\.1 101 /);
        socket.write('across');
        await until('the echo', () => text().endsWith('hello across'), { seen: text });
        socket.destroy();
      });
    });
  }

  it('is not upgraded for who may only read', async () => {
    const role = ['create', 'role', 'reader', '-n', space.name, '--verb=get', '--resource=sessions.sojourn.dev/proxy'];
    await env.kubectl(role);
    await env.kubectl(['create', 'rolebinding', 'reader', '-n', space.name, '--role=reader', '--user=bob']);
    await untilMayCall(env.client, { user: 'bob', namespace: space.name });
    const get = await env.kubectlAs('bob', ['get', '--raw', `${base()}/`]);
    expect(get.code, get.stderr).to.equal(0);
    const { bob } = env.cluster.plane.pki;
    const [cert, key] = await Promise.all([readFile(bob.cert, 'utf8'), readFile(bob.key, 'utf8')]);
    const answer = await https({
      url: `${env.cluster.plane.server}${base()}/shell`,
      ca: env.ca,
      cert,
      key,
      headers: { connection: 'Upgrade', upgrade: 'echo' },
    });
    expect(answer.status, answer.text).to.equal(403);
    expect(answer.text).to.contain('cannot create resource \\"sessions/proxy\\"');
  });
});
