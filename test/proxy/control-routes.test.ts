import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import Router from '@koa/router';
import { expect } from 'chai';
import { createLog } from '../../apis/runtime/log.ts';
import { controlRoutes } from '../../proxy/control.ts';
import { useControlPlane } from '../support/control-plane.ts';
import { until } from '../support/until.ts';
import { startGateway, type TestGateway } from './support/gateway.ts';
import { startReadyProxy } from './support/proxy.ts';
import { exchange, RawClient } from './support/raw-client.ts';

describe('what is not carried into a sandbox', () => {
  const plane = useControlPlane();
  let gateway: TestGateway;
  before(async () => {
    gateway = await startGateway({ client: plane.client });
  });
  after(() => gateway.stop());

  for (const target of ['http://[::1/', 'http://proxy/health', '*']) {
    it(`answers the request line ${target}, which is no path, with AgentCube’s 404`, async () => {
      const answer = await exchange(gateway.port, `GET ${target} HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n`);
      expect(answer).to.match(/^HTTP\/1\.1 404 .*\r\n\r\n404 page not found$/s);
    });
  }

  for (const path of ['/health', '/nowhere']) {
    it(`does not wait for ever for a body that ${path} has no use for`, async () => {
      const client = await RawClient.connect(gateway.port);
      client.send(`GET ${path} HTTP/1.1\r\nHost: proxy\r\nContent-Length: 1000000\r\n\r\n`);
      await client.hear(/^HTTP\/1\.1 (200|404) /);
      const drip = setInterval(() => client.send('x'), 100);
      await client.over();
      clearInterval(drip);
    });
  }

  it('asks for no body before it knows whose it is', async () => {
    const proxy = await startReadyProxy(plane);
    try {
      const ask = async (line: string, fields: string[]) => {
        const head = [line, 'Host: proxy', 'Connection: close', 'Expect: 100-continue', 'Content-Length: 2', ...fields];
        const client = await RawClient.connect(proxy.port);
        client.send(`${head.join('\r\n')}\r\n\r\n`);
        const text = await client.hear(/\r\n\r\n/);
        client.close();
        return text.slice(0, 'HTTP/1.1 100'.length);
      };
      const create = 'POST /v1/code-interpreter HTTP/1.1';
      expect(await ask(create, [])).to.equal('HTTP/1.1 401');
      expect(await ask(create, ['Authorization: Bearer made-up'])).to.equal('HTTP/1.1 401');
      expect(await ask('POST /nowhere HTTP/1.1', [])).to.equal('HTTP/1.1 404');
      await plane.kubectl(['create', 'serviceaccount', 'somebody', '-n', 'default']);
      const token = (await plane.kubectl(['create', 'token', 'somebody', '-n', 'default'])).stdout.trim();
      expect(await ask(create, [`Authorization: Bearer ${token}`])).to.equal('HTTP/1.1 100');
    } finally {
      await proxy.stop();
      await plane.kubectl(['delete', 'serviceaccount', 'somebody', '-n', 'default']);
    }
  });

  it('logs its own accidents as errors, and no client that goes away', async () => {
    const lines: string[] = [];
    const log = createLog({ level: 'debug', write: (line) => lines.push(line) });
    const router = new Router();
    router.get('/broken', () => {
      throw new TypeError('secret');
    });
    router.get('/slow', () => new Promise<void>(() => undefined));
    const control = controlRoutes([router], log);
    let requests = 0;
    const server = createServer((request, response) => {
      requests += 1;
      void control(request, response);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const broken = await fetch(`http://127.0.0.1:${port}/broken`);
    expect(broken.status).to.equal(500);
    expect(await broken.text())
      .to.contain('"reason":"InternalError"')
      .and.not.contain('secret');
    const client = connect(port, '127.0.0.1');
    client.write('GET /slow HTTP/1.1\r\nHost: proxy\r\n\r\n');
    await until('the request', () => requests === 2);
    client.resetAndDestroy();
    await until('the client to be missed', () => lines.some((line) => line.includes('went away')));
    const errors = lines.filter((line) => line.includes('"level":"error"'));
    expect(errors).to.have.length(1);
    expect(errors[0]).to.contain('secret');
    server.close();
    server.closeAllConnections();
  });
});
