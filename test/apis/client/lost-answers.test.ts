import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { KubeClient, type KubeRequest } from '../../../apis/client/transport.ts';
import { ApiError } from '../../../apis/machinery/errors.ts';

/** How a request ends at a server that answers so; at none when there is no listener. */
async function errorOf(request: KubeRequest, listener?: RequestListener): Promise<ApiError> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = new KubeClient({ server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  if (listener === undefined) server.close();
  try {
    await client.request(request);
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  } finally {
    await client.close();
    server.close();
  }
  throw new Error('the request did not fail');
}

const path = '/sessions';
const hangUp: RequestListener = (request, response) => {
  request.resume().on('end', () => response.destroy());
};

describe('a request whose answer is lost', () => {
  it('may be sent again when it was a read, or never reached kube-apiserver', async () => {
    for (const error of [await errorOf({ path }, hangUp), await errorOf({ path, method: 'POST', body: {} })]) {
      expect(error).to.include({ reason: 'ServiceUnavailable', code: 503, retryAfterSeconds: 1 });
    }
  });

  it('tells nobody to send it again when it may have been done', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const) {
      const error = await errorOf({ path, method, body: {} }, hangUp);
      expect(error).to.include({ reason: 'Timeout', code: 504, retryAfterSeconds: undefined });
    }
    const slow = await errorOf({ path, method: 'POST', body: {}, timeoutMs: 50 }, () => undefined);
    expect(slow).to.include({ reason: 'Timeout', code: 504, retryAfterSeconds: undefined });
  });
});

describe('a request that kube-apiserver holds back', () => {
  it('says when to come again, as the header does', async () => {
    const error = await errorOf({ path }, (_request, response) => {
      response.writeHead(429, { 'retry-after': '7' }).end('Too many requests, please try again later.');
    });
    expect(error).to.include({ reason: 'TooManyRequests', code: 429, retryAfterSeconds: 7 });
    expect(error.message).to.equal('Too many requests, please try again later.');
  });
});
