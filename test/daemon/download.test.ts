import { once } from 'node:events';
import { mkdir, truncate, utimes, writeFile } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { expect } from 'chai';
import { emptyFolder, startDaemon, type TestDaemon } from './harness.ts';

describe('a download', () => {
  let daemon: TestDaemon;
  const modified = new Date('2026-01-02T03:04:05.678Z');
  before(async () => {
    daemon = await startDaemon();
  });
  after(() => daemon.stop());
  beforeEach(async () => {
    await emptyFolder(daemon.workspace);
    const file = join(daemon.workspace, 'digits.txt');
    await writeFile(file, '0123456789');
    await utimes(file, modified, modified);
  });

  const get = (headers: Record<string, string> = {}, method = 'GET') =>
    daemon.request('/api/files/digits.txt', { headers, method });

  it('comes with its length, its time and its name, and never compressed', async () => {
    const answer = await get({ 'accept-encoding': 'gzip, deflate' });
    expect(answer.text).to.equal('0123456789');
    expect(answer.headers).to.include({
      'content-length': '10',
      'last-modified': 'Fri, 02 Jan 2026 03:04:05 GMT',
      'accept-ranges': 'bytes',
      'content-disposition': 'attachment; filename="digits.txt"',
      'content-description': 'File Transfer',
      'content-transfer-encoding': 'binary',
    });
    expect(answer.headers['content-type']).to.match(/^text\/plain/);
    expect(answer.headers).to.not.have.any.keys('content-encoding', 'transfer-encoding');
  });

  it('escapes quotes and backslashes in the name', async () => {
    await writeFile(join(daemon.workspace, 'a"; filename="b\\.exe'), 'x');
    const answer = await daemon.request(`/api/files/${encodeURIComponent('a"; filename="b\\.exe')}`);
    expect(answer.headers['content-disposition']).to.equal('attachment; filename="a\\"; filename=\\"b\\\\.exe"');
  });

  it('answers HEAD with the headers alone', async () => {
    const answer = await get({}, 'HEAD');
    expect(answer.status).to.equal(200);
    expect(answer.headers['content-length']).to.equal('10');
    expect(answer.text).to.equal('');
  });

  for (const [range, status, text, contentRange] of [
    ['bytes=0-3', 206, '0123', 'bytes 0-3/10'],
    ['bytes=7-', 206, '789', 'bytes 7-9/10'],
    ['bytes=-2', 206, '89', 'bytes 8-9/10'],
    ['bytes=-99', 206, '0123456789', 'bytes 0-9/10'],
    ['bytes=9-99', 206, '9', 'bytes 9-9/10'],
    ['bytes=0-0,5-6', 200, '0123456789', undefined],
    ['bytes=5-2', 200, '0123456789', undefined],
    ['lines=1-2', 200, '0123456789', undefined],
    ['bytes=-', 200, '0123456789', undefined],
  ] as const) {
    it(`answers Range ${range} with ${status}`, async () => {
      const answer = await get({ range });
      expect(answer.status).to.equal(status);
      expect(answer.text).to.equal(text);
      expect(answer.headers['content-length']).to.equal(String(text.length));
      expect(answer.headers['content-range']).to.equal(contentRange);
    });
  }

  for (const range of ['bytes=10-', 'bytes=-0']) {
    it(`answers Range ${range} with 416`, async () => {
      const answer = await get({ range });
      expect(answer.status).to.equal(416);
      expect(answer.headers['content-range']).to.equal('bytes */10');
      expect(answer.json()).to.include({ code: 416, reason: 'BadRequest' });
    });
  }

  it('answers 304 while the file is what the client has', async () => {
    const { etag = '' } = (await get()).headers;
    const conditions: [string, string][] = [
      ['if-none-match', etag],
      ['if-modified-since', 'Fri, 02 Jan 2026 03:04:05 GMT'],
    ];
    for (const [name, value] of conditions) {
      const answer = await get({ [name]: value });
      expect(answer.status, name).to.equal(304);
      expect(answer.text).to.equal('');
    }
    expect((await get({ 'if-modified-since': 'Fri, 02 Jan 2026 03:04:04 GMT' })).status).to.equal(200);
  });

  it('continues a part only of the same version', async () => {
    const { etag = '' } = (await get()).headers;
    expect((await get({ range: 'bytes=5-', 'if-range': etag })).status).to.equal(206);
    await writeFile(join(daemon.workspace, 'digits.txt'), 'abcdefghij');
    const answer = await get({ range: 'bytes=5-', 'if-range': etag });
    expect(answer.status).to.equal(200);
    expect(answer.text).to.equal('abcdefghij');
    expect((await get({ 'if-none-match': etag })).status).to.equal(200);
  });

  it('of a pipe or device is refused without waiting for it', async () => {
    await daemon.execute({ command: ['mkfifo', 'pipe'] });
    const answer = await daemon.request('/api/files/pipe');
    expect(answer.status).to.equal(400);
    expect(answer.json<{ error: string }>().error).to.include('not a file');
  });

  it('of a file that shrinks meanwhile breaks off instead of ending cleanly', async () => {
    await mkdir(join(daemon.workspace, 'd'));
    const file = join(daemon.workspace, 'd/big');
    await writeFile(file, Buffer.alloc(24 * 1024 * 1024));
    const request = httpRequest({
      host: '127.0.0.1',
      port: daemon.port,
      path: '/api/files/d/big',
      headers: { authorization: `Bearer ${await daemon.token()}` },
    }).end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    await truncate(file, 1024 * 1024);
    const failed = once(response, 'error');
    response.resume();
    expect(((await failed)[0] as NodeJS.ErrnoException).code).to.equal('ECONNRESET');
  });

  it('that nobody reads to its end leaves the daemon serving', async () => {
    await writeFile(join(daemon.workspace, 'big'), Buffer.alloc(24 * 1024 * 1024));
    const request = httpRequest({
      host: '127.0.0.1',
      port: daemon.port,
      path: '/api/files/big',
      headers: { authorization: `Bearer ${await daemon.token()}` },
    }).end();
    await once(request, 'response');
    request.destroy();
    expect((await get()).text).to.equal('0123456789');
    expect(daemon.log.filter((line) => line.includes('"level":"error"'))).to.deep.equal([]);
  });
});
