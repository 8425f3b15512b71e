import { spawnSync } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { skip } from '../support/skip.ts';
import {
  type DaemonProcess,
  emptyFolder,
  eventually,
  form,
  startDaemon,
  startDaemonProcess,
  type TestDaemon,
} from './harness.ts';

describe('an upload that fails', () => {
  let daemon: TestDaemon;
  before(async () => {
    daemon = await startDaemon();
  });
  after(() => daemon.stop());
  beforeEach(async () => {
    await emptyFolder(daemon.workspace);
    await writeFile(join(daemon.workspace, 'old'), 'old content');
  });

  const expectNothingLeft = async () => {
    await eventually('only the old file is there', async () => (await readdir(daemon.workspace)).length === 1);
    expect(await readFile(join(daemon.workspace, 'old'), 'utf8')).to.equal('old content');
  };
  const multipart = (body: Buffer | string, contentType = 'multipart/form-data; boundary=b') =>
    daemon.request('/api/files', { method: 'POST', body, headers: { 'content-type': contentType } });

  it('because the client leaves in the middle leaves the old file and no other', async () => {
    const { body, headers } = form([
      { name: 'path', content: 'old' },
      { name: 'file', filename: 'f', content: Buffer.alloc(8 * 1024 * 1024) },
    ]);
    const socket = connect(daemon.port, '127.0.0.1');
    socket.on('error', () => socket.destroy());
    socket.write(
      `POST /api/files HTTP/1.1\r\nHost: d\r\nAuthorization: Bearer ${await daemon.token()}\r\n` +
        `Content-Type: ${headers['content-type']}\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    socket.write(body.subarray(0, body.length / 2));
    const staged = async () => (await readdir(daemon.workspace)).some((name) => name.startsWith('.sojourn-upload-'));
    await eventually('the upload has begun', staged);
    expect(await readFile(join(daemon.workspace, 'old'), 'utf8')).to.equal('old content');
    socket.destroy();
    await expectNothingLeft();
    expect(daemon.log.filter((line) => line.includes('"level":"error"'))).to.deep.equal([]);
  });

  it('because it is over 32 MiB leaves the old file and no other', async () => {
    const { body, headers } = form([
      { name: 'path', content: 'old' },
      { name: 'file', filename: 'f', content: Buffer.alloc(32 * 1024 * 1024) },
    ]);
    const answer = await daemon.request('/api/files', {
      method: 'POST',
      headers: { ...headers, 'transfer-encoding': 'chunked' },
      body,
    });
    expect(answer.status).to.equal(413);
    expect(answer.json()).to.include({ reason: 'RequestEntityTooLarge' });
    await expectNothingLeft();
  });

  const part = (name: string, content: string, file = '') =>
    `--b\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n${content}\r\n`;
  const filePart = part('file', 'content', '; filename="f"');
  const forms: [string, string, string | undefined][] = [
    ['has no boundary', `${part('path', 'old')}${filePart}--b--\r\n`, 'multipart/form-data'],
    ['has another boundary', `${part('path', 'old')}${filePart}--b--\r\n`, 'multipart/form-data; boundary=c'],
    ['ends in the middle of the file', `${part('path', 'old')}${filePart.slice(0, -4)}`, undefined],
    ['ends without its last boundary', `${part('path', 'old')}${filePart}`, undefined],
    ['ends in the middle of a header', `${part('path', 'old')}--b\r\nContent-Dispo`, undefined],
    ['is empty', '', undefined],
    ['is garbage', 'garbage', undefined],
    ['has no file', `${part('path', 'old')}--b--\r\n`, undefined],
    ['has no path', `${filePart}--b--\r\n`, undefined],
    ['has an empty path', `${part('path', '')}${filePart}--b--\r\n`, undefined],
    ['has an endless path', `${part('path', 'x'.repeat(100_000))}${filePart}--b--\r\n`, undefined],
    [
      'has its file under another name',
      `${part('path', 'x')}${filePart.replace('"file"', '"data"')}--b--\r\n`,
      undefined,
    ],
    ['has its file as a field', `${part('path', 'x')}${part('file', 'content')}--b--\r\n`, undefined],
  ];
  for (const [what, body, contentType] of forms) {
    it(`because the form ${what} says so and leaves nothing`, async () => {
      const answer = await multipart(body, contentType);
      expect(answer.status, answer.text).to.equal(400);
      expect(answer.json()).to.include({ code: 400, reason: 'BadRequest' });
      await expectNothingLeft();
    });
  }

  it('never shows a reader a part of a file that is being replaced', async () => {
    const contents = ['a', 'b'].map((letter) => Buffer.alloc(1024 * 1024, letter));
    const write = async (content: Buffer | undefined) =>
      await daemon.request('/api/files', {
        method: 'POST',
        ...form([
          { name: 'path', content: 'old' },
          { name: 'file', filename: 'f', content: content ?? '' },
        ]),
      });
    await write(contents[0]);
    let writing = true;
    const writer = (async () => {
      for (let round = 1; round < 20; round += 1) await write(contents[round % 2]);
      writing = false;
    })();
    while (writing) {
      const { body } = await daemon.request('/api/files/old');
      expect(contents.some((content) => content.equals(body))).to.equal(true);
    }
    await writer;
  });
});

describe('an upload to a disk', () => {
  const mayUnshare = spawnSync('unshare', ['-Urm', 'true']).status === 0;
  let daemon: DaemonProcess | undefined;
  afterEach(async () => {
    await daemon?.stop();
    daemon = undefined;
  });

  /** A daemon whose workspace is a file system of 2 MiB that only it can see. */
  const onSmallDisk = (then = 'true') =>
    startDaemonProcess([
      'unshare',
      '-Urm',
      'sh',
      '-c',
      `mount -t tmpfs -o size=2m tmpfs WORKSPACE && cd / && (${then}) && exec "$0" "$@"`,
    ]);
  const upload = (path: string, bytes: number) =>
    form([
      { name: 'path', content: path },
      { name: 'file', filename: 'f', content: Buffer.alloc(bytes) },
    ]);

  it('that is full answers 507 and leaves nothing', async function () {
    if (!mayUnshare) skip(this, 'this machine lets nobody mount a small disk (unshare is refused)');
    daemon = await onSmallDisk();
    const requests = [
      { method: 'POST', ...upload('big', 3_000_000) },
      { method: 'POST', body: JSON.stringify({ path: 'big', content: Buffer.alloc(3_000_000).toString('base64') }) },
    ];
    for (const request of requests) {
      const answer = await daemon.request('/api/files', request);
      expect(answer.status, answer.text).to.equal(507);
      expect(answer.json()).to.include({ code: 507, reason: 'StorageFull' });
      expect((await daemon.request('/api/files?path=.')).json()).to.deep.equal({ files: [] });
    }
    expect((await daemon.request('/api/files', { method: 'POST', ...upload('small', 1000) })).status).to.equal(200);
  });

  it('that is read-only answers 403', async function () {
    if (!mayUnshare) skip(this, 'this machine lets nobody mount a small disk (unshare is refused)');
    daemon = await onSmallDisk('mount -o remount,ro tmpfs WORKSPACE');
    for (const path of ['file', 'dir/file']) {
      const answer = await daemon.request('/api/files', { method: 'POST', ...upload(path, 10) });
      expect(answer.status, answer.text).to.equal(403);
      expect(answer.json()).to.include({ code: 403, reason: 'Forbidden' });
    }
  });

  it('into a directory that the daemon may not write answers 403', async function () {
    if (process.getuid?.() === 0) skip(this, 'root may write everywhere; run the tests as another user');
    const local = await startDaemon();
    try {
      await mkdir(join(local.workspace, 'locked'));
      await chmod(join(local.workspace, 'locked'), 0o500);
      const answer = await local.request('/api/files', { method: 'POST', ...upload('locked/file', 10) });
      expect(answer.status).to.equal(403);
      await chmod(join(local.workspace, 'locked'), 0o700);
    } finally {
      await local.stop();
    }
  });
});
