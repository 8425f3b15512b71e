import { connect } from 'node:tls';
import { expect } from 'chai';
import { generateKeyPair } from 'jose';
import { bodyLimitBytes } from '../../apis/wire/daemon.ts';
import { signToken } from '../../apis/wire/token.ts';
import type { ExecuteResult } from '../../daemon/exec/execute.ts';
import { callerToken, createSession, readySession, sessionsPath } from '../support/caller.ts';
import { useCluster } from '../support/cluster.ts';
import { type Answer, https } from '../support/http.ts';

describe('an invocation', () => {
  const env = useCluster();
  const space = env.namespace('invoke');
  const base = () => sessionsPath(space.name);
  let address = '';
  let token = '';

  before(async function () {
    this.timeout(60_000);
    token = await callerToken(env, space.name);
    const { status } = await readySession(env, space.name, { name: 'box', runtime: 'py' });
    address = status?.addresses?.[0] ?? '';
  });

  /** A call through either front: kube-apiserver's aggregator or the proxy itself. */
  async function call(
    front: 'kube-apiserver' | 'proxy',
    path: string,
    init: { method?: string; body?: string | Buffer; headers?: Record<string, string>; token?: string } = {},
  ): Promise<Answer> {
    const server = front === 'proxy' ? env.cluster.proxyUrl : env.cluster.plane.server;
    return await https({
      url: `${server}${path}`,
      ca: env.ca,
      method: init.method ?? 'GET',
      headers: { authorization: `Bearer ${init.token ?? token}`, ...init.headers },
      ...(init.body === undefined ? {} : { body: init.body }),
    });
  }

  for (const front of ['kube-apiserver', 'proxy'] as const) {
    describe(`through ${front === 'proxy' ? 'the proxy' : front}`, () => {
      const invoke = (path: string, init?: Parameters<typeof call>[2]) =>
        call(front, `${base()}/box/proxy${path}`, init);
      const json = (body: unknown) => ({
        method: 'POST',
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      });

      it('runs code and answers with what it printed', async () => {
        const answer = await invoke('/api/execute', json({ command: ['sh', '-c', 'echo out; echo err >&2; exit 3'] }));
        expect(answer.status, answer.text).to.equal(200);
        expect(JSON.parse(answer.text)).to.include({ stdout: 'out\n', stderr: 'err\n', exit_code: 3 });
        expect(answer.headers['x-agentcube-session-id']).to.match(/^[0-9a-f-]{36}$/);
      });

      it('carries files up, lists them and brings them down byte for byte', async () => {
        const content = Buffer.from(Array.from({ length: 70_000 }, (_, index) => index % 251));
        const boundary = 'XyZ';
        const part = (name: string, more = '') =>
          `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n`;
        const body = Buffer.concat([
          Buffer.from(`${part('path')}deep/data ${front}.bin\r\n${part('file', '; filename="data.bin"')}`),
          content,
          Buffer.from(`\r\n--${boundary}--\r\n`),
        ]);
        const headers = {
          'content-type': `multipart/form-data; boundary=${boundary}`,
          'content-length': String(body.length),
        };
        const up = await invoke('/api/files', { method: 'POST', body, headers });
        expect(up.status, up.text).to.equal(200);
        const list = await invoke('/api/files?path=deep');
        expect(list.text).to.contain(`data ${front}.bin`);
        const down = await invoke(`/api/files/deep/data%20${front}.bin`);
        expect(down.status).to.equal(200);
        expect(down.body.equals(content)).to.equal(true);
      });

      it('refuses every path that would leave the workspace', async () => {
        const paths = [
          '/api/files/../../../../etc/passwd',
          '/api/files/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd',
          '/api/files/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd',
          '/api/files/a%00b',
          '/api/files/%252e%252e/x',
        ];
        for (const path of paths) {
          const answer = await invoke(path);
          expect(answer.status, `${path} ${answer.text}`).to.be.within(400, 404);
          expect(answer.text).not.to.contain('root:');
          expect((JSON.parse(answer.text) as { error: string }).error, path).to.be.a('string');
        }
        const list = await invoke('/api/files?path=../..');
        expect(list.status).to.equal(400);
        const upload = await invoke('/api/files', json({ path: '../escape', content: 'eA==' }));
        expect(upload.status).to.equal(400);
      });

      it('of exactly 32 MiB passes, and of more is refused with 413, announced or not', async () => {
        const exact = await invoke('/api/files?nothing', { method: 'POST', body: Buffer.alloc(bodyLimitBytes, ' ') });
        expect(exact.status, exact.text).to.equal(400);
        const big = Buffer.alloc(bodyLimitBytes + 1024 * 1024, 'x');
        const framings: Record<string, string>[] = [
          { 'content-length': String(big.length) },
          { 'transfer-encoding': 'chunked' },
        ];
        for (const headers of front === 'proxy' ? framings : []) {
          const answer = await invoke('/api/files', {
            method: 'POST',
            body: big,
            headers: headers as Record<string, string>,
          });
          expect(answer.status, answer.text).to.equal(413);
          expect(answer.text).to.match(/limit is 33554432 bytes/);
        }
        // kube-apiserver closes the connection early, which kubectl can read through.
        const args = ['create', '--raw', `${base()}/box/proxy/api/files`, '-f', '-'];
        const refused = front === 'proxy' ? undefined : await env.kubectl(args, { stdin: big.toString('latin1') });
        if (refused !== undefined) expect(refused.stderr).to.match(/RequestEntityTooLarge.*limit is 33554432 bytes/);
      });

      it('of a session that is not there is a 404, and of one that may not be known a 403', async () => {
        expect((await call(front, `${base()}/nosuch/proxy/health`)).status).to.equal(404);
        expect(
          (await call(front, '/apis/sojourn.dev/v1alpha1/namespaces/kube-system/sessions/x/proxy/health')).status,
        ).to.equal(403);
      });

      it('without a valid token is a 401 or 403', async () => {
        expect((await call(front, `${base()}/box/proxy/health`, { token: 'nonsense' })).status).to.equal(401);
        const none = await https({
          url: `${front === 'proxy' ? env.cluster.proxyUrl : env.cluster.plane.server}${base()}/box/proxy/health`,
          ca: env.ca,
        });
        expect(none.status).to.be.oneOf([401, 403]);
      });

      it('upgrades need create and then carry bytes both ways', async () => {
        const url = new URL(front === 'proxy' ? env.cluster.proxyUrl : env.cluster.plane.server);
        const head = `GET ${base()}/box/proxy/no-such-upgrade HTTP/1.1\r\nHost: ${url.host}\r\nAuthorization: Bearer ${token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
        const answer = await rawExchange(url, head, env.ca);
        // The daemon has no upgrade yet: its own refusal arrives, so the way there is open.
        expect(answer).to.match(/^HTTP\/1\.1 4\d\d /);
        expect(answer).not.to.match(/^HTTP\/1\.1 40[13] /);
      });
    });
  }

  it('of a session that is still starting waits for it instead of failing', async () => {
    await createSession(env, space.name, { name: 'fresh', runtime: 'py' });
    const answer = await call('proxy', `${base()}/fresh/proxy/api/execute`, {
      method: 'POST',
      body: JSON.stringify({ command: ['echo', 'awake'] }),
      headers: { 'content-type': 'application/json' },
    });
    expect(answer.status, answer.text).to.equal(200);
    expect((JSON.parse(answer.text) as ExecuteResult).stdout).to.equal('awake\n');
  });

  describe('straight at the daemon', () => {
    const execute = (authorization?: string) =>
      fetch(`http://${address}:8080/api/execute`, {
        method: 'POST',
        body: JSON.stringify({ command: ['id'] }),
        headers: { 'content-type': 'application/json', ...(authorization === undefined ? {} : { authorization }) },
      });

    it('is refused without a token and with one of a foreign key', async () => {
      expect((await execute()).status).to.equal(401);
      const { privateKey } = await generateKeyPair('ES256');
      const subject = {
        sessionUid: 'x',
        namespace: space.name,
        sandbox: 'box',
        podUid: 'x',
        user: { username: 'mallory' },
      };
      const foreign = await signToken(subject, { kid: 'mine', privateKey }, new Date());
      const answer = await execute(`Bearer ${foreign}`);
      expect(answer.status).to.equal(401);
      expect(await answer.json()).to.include({ reason: 'UnknownKey' });
    });

    it('takes no key set that the root did not sign', async () => {
      const answer = await fetch(`http://${address}:8080/sojourn/v1/keyset`, { method: 'PUT', body: 'e30.e30.AAAA' });
      expect(answer.status).to.equal(401);
    });
  });
});

/** What a server answers to bytes on a TLS connection, until it closes or a blank line and a moment have come. */
function rawExchange(url: URL, request: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: url.hostname, port: Number(url.port), ca, ALPNProtocols: ['http/1.1'] }, () =>
      socket.write(request),
    );
    let text = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (text.includes('\r\n\r\n')) {
        resolve(text);
        socket.destroy();
      }
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}
