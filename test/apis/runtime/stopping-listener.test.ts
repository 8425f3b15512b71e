import { expect } from 'chai';
import { Agent } from 'undici';
import { Listener, type ServingTls } from '../../../apis/runtime/listener.ts';
import { newServingCertificate } from '../../proxy/support/certificate.ts';

/** More than the kernel takes at once. */
const answerBytes = 16 * 1024 * 1024;

describe('a listener that stops', () => {
  let tls: ServingTls;
  before(async () => {
    const { cert, key } = await newServingCertificate();
    tls = { cert: Buffer.from(cert), key: Buffer.from(key), clientCertificates: 'ignore' };
  });

  for (const scheme of ['https', 'http'] as const) {
    it(`writes answers to their end that were ended before, over ${scheme}, and closes what is idle then`, async () => {
      const listener = await Listener.open({
        address: '127.0.0.1',
        port: 0,
        tls: scheme === 'https' ? tls : undefined,
        largestHeadersBytes: 64 * 1024,
        mostStreams: 10,
        onRequest: (request, response) => {
          response.end(Buffer.alloc(request.url === '/long' ? answerBytes : 1));
        },
        onUpgrade: () => undefined,
      });
      const agent = new Agent({ allowH2: false, connect: { rejectUnauthorized: false } });
      const origin = `${scheme}://127.0.0.1:${listener.port}`;
      const ask = async (path: string) => (await agent.request({ origin, path, method: 'GET' })).body;
      const sizeOf = async (body: Awaited<ReturnType<typeof ask>>) => (await body.arrayBuffer()).byteLength;
      try {
        // Some connections that nobody uses any more.
        for (const body of await Promise.all([ask('/'), ask('/'), ask('/')])) expect(await sizeOf(body)).to.equal(1);
        const long = await ask('/long');
        const began = performance.now();
        const stopped = listener.stop({ graceMs: 20_000 });
        expect(await sizeOf(long)).to.equal(answerBytes);
        await stopped;
        expect(performance.now() - began, 'not only when the grace is over').to.be.lessThan(15_000);
      } finally {
        await agent.destroy();
      }
    }).timeout(60_000);
  }
});
