import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { emptyFolder, form, type RequestOptions, startDaemon, type TestDaemon } from './harness.ts';

interface Uploaded {
  path: string;
  size: number;
  mode: string;
  modified: string;
}

interface Entry {
  name: string;
  size: number;
  modified: string;
  mode: string;
  is_dir: boolean;
}

/** RFC 3339, which Go's and Python's clients parse. */
const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));

describe('file transfer', () => {
  let daemon: TestDaemon;
  before(async () => {
    daemon = await startDaemon();
  });
  after(() => daemon.stop());
  beforeEach(() => emptyFolder(daemon.workspace));

  const ways: Record<string, (path: string, content: Buffer, mode?: string) => RequestOptions> = {
    multipart: (path, content, mode) => ({
      method: 'POST',
      ...form([
        { name: 'path', content: path },
        ...(mode === undefined ? [] : [{ name: 'mode', content: mode }]),
        { name: 'file', filename: 'local-name', content },
      ]),
    }),
    JSON: (path, content, mode) => ({
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ path, content: content.toString('base64'), mode }),
    }),
  };
  const upload = async (request: RequestOptions): Promise<Uploaded> => {
    const answer = await daemon.request('/api/files', request);
    expect(answer.status, answer.text).to.equal(200);
    return answer.json<Uploaded>();
  };
  const json = ways.JSON ?? expect.fail('no such way');
  const encodePath = (path: string) => path.split('/').map(encodeURIComponent).join('/');
  const download = (path: string) => daemon.request(`/api/files/${encodePath(path)}`);
  const list = async (path: string) => {
    const answer = await daemon.request(`/api/files?path=${encodeURIComponent(path)}`);
    expect(answer.status, answer.text).to.equal(200);
    return answer.json<{ files: Entry[] }>().files;
  };

  const names = [
    'plain.txt',
    'dir/deeper/nested.bin',
    'with blank.txt',
    'quote".txt',
    "apostrophe'.txt",
    'back\\slash.txt',
    'percent%41.txt',
    'plus+and&and=and#and?.txt',
    'ünïcödé-日本-🙂.txt',
    'new\nline.txt',
    '..hidden',
    'index.html',
    'sub/index.html',
  ];
  for (const [way, request] of Object.entries(ways)) {
    for (const name of names) {
      it(`brings ${JSON.stringify(name)} up by ${way} and down again`, async () => {
        const uploaded = await upload(request(name, everyByte));
        expect(uploaded).to.include({ path: name, size: 256, mode: '-rw-r--r--' });
        expect(uploaded.modified).to.match(rfc3339);
        const answer = await download(name);
        expect(answer.status).to.equal(200);
        expect(answer.body.equals(everyByte)).to.equal(true);
        expect(answer.headers['content-length']).to.equal('256');
        const folder = name.includes('/') ? name.slice(0, name.lastIndexOf('/')) : '.';
        const entry = (await list(folder)).find(
          (candidate) => candidate.name === name.slice(name.lastIndexOf('/') + 1),
        );
        expect(entry).to.include({ size: 256, mode: '-rw-r--r--', is_dir: false });
        expect(entry?.modified).to.match(rfc3339);
      });
    }

    it(`brings an empty file up by ${way} and down again`, async () => {
      expect(await upload(request('empty', Buffer.alloc(0)))).to.include({ size: 0 });
      const answer = await download('empty');
      expect(answer.status).to.equal(200);
      expect(answer.headers['content-length']).to.equal('0');
      expect(answer.body).to.have.length(0);
    });

    it(`gives a file the mode that ${way} asks for, whatever the umask, new or not`, async () => {
      for (const [mode, shown] of [
        ['0777', '-rwxrwxrwx'],
        ['600', '-rw-------'],
        ['01777', '-rw-r--r--'],
        ['rw', '-rw-r--r--'],
      ] as const) {
        expect((await upload(request('file', everyByte, mode))).mode, mode).to.equal(shown);
        expect((await list('.'))[0]?.mode, mode).to.equal(shown);
      }
    });

    it(`keeps the mode of a file that ${way} replaces without naming one`, async () => {
      await upload(request('script', everyByte, '0755'));
      expect((await upload(request('script', Buffer.from('new')))).mode).to.equal('-rwxr-xr-x');
      expect((await download('script')).text).to.equal('new');
    });

    it(`counts an absolute path of ${way} from the workspace`, async () => {
      expect((await upload(request('/abs//./file', everyByte))).path).to.equal('abs/file');
      expect(await readFile(join(daemon.workspace, 'abs/file'))).to.have.length(256);
    });

    it(`does not let ${way} replace a directory`, async () => {
      await mkdir(join(daemon.workspace, 'dir'));
      for (const path of ['dir', 'dir/', '.', '/']) {
        const answer = await daemon.request('/api/files', request(path, everyByte));
        expect(answer.status, path).to.equal(400);
        expect(answer.json()).to.include({ error: 'Path is a directory, not a file', reason: 'BadRequest' });
      }
      expect(await list('.')).to.have.length(1);
    });

    it(`does not let ${way} take a file for a directory`, async () => {
      await writeFile(join(daemon.workspace, 'file'), '');
      for (const path of ['file/below', 'file/below/deeper']) {
        const answer = await daemon.request('/api/files', request(path, everyByte));
        expect(answer.status, path).to.equal(400);
        expect(answer.json<{ error: string }>().error).to.include('not a directory');
      }
    });
  }

  it('takes the parts of a form in any order', async () => {
    const uploaded = await upload({
      method: 'POST',
      ...form([
        { name: 'file', filename: 'f', content: 'content' },
        { name: 'mode', content: '0700' },
        { name: 'path', content: 'dir/late' },
      ]),
    });
    expect(uploaded).to.include({ path: 'dir/late', mode: '-rwx------' });
    expect((await download('dir/late')).text).to.equal('content');
    expect((await list('.')).map((entry) => entry.name)).to.deep.equal(['dir']);
  });

  it('skips line breaks in base64 content, as Python inserts them', async () => {
    await upload({ method: 'POST', body: JSON.stringify({ path: 'f', content: 'aGVs\nbG8=\r\n' }) });
    expect((await download('f')).text).to.equal('hello');
  });

  for (const content of ['a', 'aGVsbG8', 'aGVsbG8==', 'aGVs bG8=', 'aGVs-_8=', 'aG=sbG8=', '====', 'ü']) {
    it(`refuses ${JSON.stringify(content)} as base64`, async () => {
      const answer = await daemon.request('/api/files', {
        method: 'POST',
        body: JSON.stringify({ path: 'f', content }),
      });
      expect(answer.status).to.equal(400);
      expect(answer.json<{ error: string }>().error).to.match(/^Invalid base64 content/);
      expect(await list('.')).to.deep.equal([]);
    });
  }

  for (const [what, body] of [
    ['no path', { content: '' }],
    ['an empty path', { path: '', content: '' }],
    ['a path that is no text', { path: 1, content: '' }],
    ['no content', { path: 'f' }],
    ['content that is no text', { path: 'f', content: 1 }],
    ['a mode that is no text', { path: 'f', content: '', mode: 644 }],
    ['a list', []],
    ['null', null],
  ] as const) {
    it(`refuses JSON with ${what}`, async () => {
      const answer = await daemon.request('/api/files', { method: 'POST', body: JSON.stringify(body) });
      expect(answer.status).to.equal(400);
      expect(answer.json()).to.include({ code: 400, reason: 'BadRequest' });
    });
  }

  it('takes 20 MiB as JSON', async () => {
    const content = Buffer.alloc(20 * 1024 * 1024, 'x');
    expect((await upload(json('big', content))).size).to.equal(content.length);
    expect((await stat(join(daemon.workspace, 'big'))).size).to.equal(content.length);
  });

  it('lists a directory sorted by name, with the modes of Go', async () => {
    await mkdir(join(daemon.workspace, 'dir'));
    await mkdir(join(daemon.workspace, 'shared'));
    await chmod(join(daemon.workspace, 'shared'), 0o1777);
    await writeFile(join(daemon.workspace, 'file'), '12345');
    await daemon.execute({ command: ['mkfifo', 'pipe'] });
    const entries = (await list('.')).map(({ name, size, mode, is_dir }) => [name, is_dir ? 'dir' : size, mode]);
    expect(entries).to.deep.equal([
      ['dir', 'dir', 'drwxr-xr-x'],
      ['file', 5, '-rw-r--r--'],
      ['pipe', 0, 'prw-r--r--'],
      ['shared', 'dir', 'dtrwxrwxrwx'],
    ]);
  });

  it('lists a file whose name is not UTF-8', async () => {
    await writeFile(Buffer.concat([Buffer.from(`${daemon.workspace}/`), Buffer.from([0x66, 0xff])]), 'x');
    expect((await list('/'))[0]).to.include({ name: 'f\uFFFD', size: 1 });
  });

  it('says what is missing or of the wrong kind', async () => {
    await writeFile(join(daemon.workspace, 'file'), '');
    await mkdir(join(daemon.workspace, 'dir'));
    const cases: [string, number, string][] = [
      ['/api/files', 400, "Missing 'path' query parameter; use ?path=. for the workspace itself"],
      ['/api/files?path=', 400, "Missing 'path' query parameter; use ?path=. for the workspace itself"],
      ['/api/files?path=nothing', 404, 'Directory not found'],
      ['/api/files?path=file', 400, 'Path is a file, not a directory'],
      ['/api/files/nothing', 404, 'File not found'],
      ['/api/files/file/below', 404, 'File not found: a part of the path is a file, not a directory'],
      ['/api/files/dir', 400, 'Path is a directory, not a file'],
      ['/api/files/.', 400, 'Path is a directory, not a file'],
    ];
    for (const [path, status, error] of cases) {
      const answer = await daemon.request(path);
      expect(answer.status, path).to.equal(status);
      expect(answer.json(), path).to.include({ error, code: status });
    }
  });
});
