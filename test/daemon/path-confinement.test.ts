import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { type Answer, emptyFolder, eventually, form, startDaemon, type TestDaemon } from './harness.ts';

const canary = 'canary outside of the workspace';

describe('confinement to the workspace', () => {
  let daemon: TestDaemon;
  let outside: string;
  before(async () => {
    daemon = await startDaemon();
  });
  after(() => daemon.stop());
  beforeEach(async () => {
    await emptyFolder(daemon.workspace);
    outside = join(daemon.folder, 'outside');
    await mkdir(outside, { recursive: true });
    await emptyFolder(outside);
    await writeFile(join(outside, 'canary.txt'), canary);
    await writeFile(join(daemon.workspace, 'inside.txt'), 'inside');
  });

  const read = (path: string) => daemon.request(`/api/files/${path}`);
  const list = (path: string) => daemon.request(`/api/files?path=${encodeURIComponent(path)}`);
  const writeJson = (path: string) =>
    daemon.request('/api/files', {
      method: 'POST',
      body: JSON.stringify({ path, content: Buffer.from('written').toString('base64') }),
    });
  const writeForm = (path: string) =>
    daemon.request('/api/files', {
      method: 'POST',
      ...form([
        { name: 'path', content: path },
        { name: 'file', filename: 'f', content: 'written' },
      ]),
    });
  const execute = (working_dir: string) =>
    daemon.request('/api/execute', { method: 'POST', body: JSON.stringify({ command: ['ls'], working_dir }) });
  const expectRefused = (answer: Answer) => {
    expect(answer.text).to.not.include(canary).and.not.include('canary.txt');
    expect(answer.status).to.equal(400);
    expect(answer.json()).to.include({ reason: 'PathOutsideWorkspace' });
  };
  const expectUntouched = async () => {
    expect(await readdir(outside)).to.deep.equal(['canary.txt']);
    expect(await readFile(join(outside, 'canary.txt'), 'utf8')).to.equal(canary);
    expect((await readdir(daemon.folder)).toSorted()).to.deep.equal(['outside', 'workspace']);
  };

  for (const path of [
    '../outside/canary.txt',
    'a/../../outside/canary.txt',
    '/../outside/canary.txt',
    '..%2Foutside%2Fcanary.txt',
    '%2e%2e/outside/canary.txt',
    '%2E%2E%2Foutside/canary.txt',
    './/..//outside/canary.txt',
    'inside.txt/../../outside/canary.txt',
  ]) {
    it(`does not read ${path}`, async () => {
      expectRefused(await read(path));
    });
  }

  for (const [what, path] of [
    ['a doubly encoded ..', '%252e%252e%252foutside%252fcanary.txt'],
    ['a backslash', '..%5Coutside%5Ccanary.txt'],
    ['an overlong dot', '.%20./outside/canary.txt'],
    ['an absolute path, which counts from the workspace', '/etc/passwd'],
  ] as const) {
    it(`takes ${what} for an ordinary name`, async () => {
      const answer = await read(path);
      expect(answer.status).to.equal(404);
      expect(answer.json()).to.include({ reason: 'NotFound', error: 'File not found' });
    });
  }

  for (const [what, path] of [
    ['a NUL byte', 'inside.txt%00.png'],
    ['a broken escape', 'inside%zz'],
    ['an escape that is not UTF-8', '%c0%ae%c0%ae/outside/canary.txt'],
    ['a name of 256 bytes', 'a'.repeat(256)],
    ['a path of 5000 bytes', 'a/'.repeat(2500)],
  ] as const) {
    it(`refuses ${what}`, async () => {
      const answer = await read(path);
      expect(answer.status).to.equal(400);
      expect(answer.json()).to.include({ reason: 'BadRequest' });
    });
  }

  it('reads %2F as /, as it arrives through kube-apiserver', async () => {
    await mkdir(join(daemon.workspace, 'dir'));
    await writeFile(join(daemon.workspace, 'dir/file'), 'content');
    expect((await read('dir%2Ffile')).text).to.equal('content');
    expect((await read('/dir/./x/../file')).text).to.equal('content');
  });

  for (const [what, path] of [
    ['..', '../outside'],
    ['an absolute ..', '/../outside'],
  ] as const) {
    it(`does not list, write or work in ${what}`, async () => {
      for (const answer of [await list(path), await writeJson(`${path}/new`), await writeForm(`${path}/new`)]) {
        expectRefused(answer);
      }
      expectRefused(await execute(path));
      await expectUntouched();
    });
  }

  describe('with symbolic links', () => {
    const link = (target: string, name: string) => symlink(target, join(daemon.workspace, name));

    it('does not follow a link out of it, absolute or relative', async () => {
      await link(join(outside, 'canary.txt'), 'absolute');
      await link('../outside/canary.txt', 'relative');
      await link('/etc/passwd', 'passwd');
      await link('hop', 'first-hop');
      await link('../outside/canary.txt', 'hop');
      for (const name of ['absolute', 'relative', 'passwd', 'first-hop']) expectRefused(await read(name));
    });

    it('does not go through a linked directory, to read, list, write or work', async () => {
      await link(outside, 'dir');
      expectRefused(await read('dir/canary.txt'));
      expectRefused(await list('dir'));
      expectRefused(await writeJson('dir/new'));
      expectRefused(await writeForm('dir/new'));
      expectRefused(await writeForm('dir/deeper/new'));
      expectRefused(await execute('dir'));
      expectRefused(await execute('dir/deeper'));
      await expectUntouched();
    });

    it('does not create what a dangling link points to', async () => {
      await link(join(outside, 'created'), 'dangling');
      expectRefused(await read('dangling'));
      expectRefused(await writeJson('dangling/below'));
      expectRefused(await execute('dangling'));
      expect((await writeJson('dangling')).status, 'the link itself is replaced').to.equal(200);
      expect((await read('dangling')).text).to.equal('written');
      await expectUntouched();
    });

    it('replaces a link instead of writing through it', async () => {
      await link(join(outside, 'canary.txt'), 'link');
      expect((await writeForm('link')).status).to.equal(200);
      expect((await read('link')).text).to.equal('written');
      await expectUntouched();
    });

    it('follows links that stay inside, as virtual environments have them', async () => {
      await mkdir(join(daemon.workspace, 'a/b'), { recursive: true });
      await writeFile(join(daemon.workspace, 'a/b/file'), 'content');
      await link('a/b', 'relative');
      await link(join(daemon.workspace, 'a'), 'absolute');
      await link('../../inside.txt', 'a/b/up');
      await link('.', 'self');
      for (const path of ['relative/file', 'absolute/b/file', 'self/self/relative/file']) {
        expect((await read(path)).text, path).to.equal('content');
      }
      expect((await read('relative/up')).text).to.equal('inside');
      expect((await list('absolute')).json<{ files: { name: string }[] }>().files[0]?.name).to.equal('b');
      expect((await writeForm('relative/new')).status).to.equal(200);
      expect(await readFile(join(daemon.workspace, 'a/b/new'), 'utf8')).to.equal('written');
    });

    it('gives up on links in a circle', async () => {
      await link('two', 'one');
      await link('one', 'two');
      const answer = await read('one');
      expect(answer.status).to.equal(400);
      expect(answer.json<{ error: string }>().error).to.include('symbolic links');
    });

    it('describes a link in a listing as itself', async () => {
      await link(outside, 'dir');
      await link('nowhere', 'dangling');
      const { files } = (await list('.')).json<{ files: { name: string; mode: string; is_dir: boolean }[] }>();
      expect(files.map(({ name, mode, is_dir }) => ({ name, mode, is_dir }))).to.deep.equal([
        { name: 'dangling', mode: 'Lrwxrwxrwx', is_dir: false },
        { name: 'dir', mode: 'Lrwxrwxrwx', is_dir: false },
        { name: 'inside.txt', mode: '-rw-r--r--', is_dir: false },
      ]);
    });
  });

  it('permits everything when the workspace is the root folder', async () => {
    const wide = await startDaemon({ options: { workspace: '/' } });
    try {
      await symlink(join(outside, 'canary.txt'), join(daemon.workspace, 'link'));
      for (const path of [`${outside}/canary.txt`, `${daemon.workspace}/link`]) {
        expect((await wide.request(`/api/files/${path}`)).text).to.equal(canary);
      }
      const { stdout } = await wide.execute({ command: ['ls'], working_dir: outside });
      expect(stdout).to.equal('canary.txt\n');
    } finally {
      await wide.stop();
    }
  });

  it('holds while a directory is swapped against a link all the time', async () => {
    await mkdir(join(daemon.workspace, 'dir'));
    await writeFile(join(daemon.workspace, 'dir/canary.txt'), 'inside');
    const swapper = startSwapping(daemon.workspace, outside);
    const ended = once(swapper, 'exit');
    const seen = new Map<number, number>();
    const note = ({ status }: Answer) => seen.set(status, (seen.get(status) ?? 0) + 1);
    try {
      await eventually(
        'many walks have met the directory, and many the link',
        async () => {
          const answers = await Promise.all([
            read('dir/canary.txt'),
            read('dir/../dir/canary.txt'),
            list('dir'),
            writeJson('dir/new'),
            writeForm('dir/deeper/new'),
            execute('dir'),
          ]);
          for (const answer of answers) {
            expect(answer.text).to.not.include(canary);
            expect(answer.status, answer.text).to.be.oneOf([200, 400, 404]);
            note(answer);
          }
          expect(swapper.exitCode, 'the swapper goes on').to.equal(null);
          return [200, 400].every((status) => (seen.get(status) ?? 0) >= 10);
        },
        50_000,
      );
    } finally {
      await writeFile(join(daemon.workspace, 'enough'), '');
    }
    expect((await ended)[0]).to.equal(0);
    await expectUntouched();
  });
});

/**
 * A process that swaps `dir` against a link to another folder as fast as it can, until there is a file `enough`. While
 * neither is there an upload may make a `dir` of its own, which has to go again.
 */
function startSwapping(workspace: string, outside: string): ChildProcess {
  const program = `
    const { existsSync, renameSync, rmSync, symlinkSync } = require('node:fs');
    process.chdir(process.argv[1]);
    symlinkSync(process.argv[2], 'link');
    const attempt = (action) => {
      try {
        action();
        return true;
      } catch (error) {
        if (!['EISDIR', 'ENOTEMPTY'].includes(error.code)) throw error;
        return false;
      }
    };
    const move = (from, to) => {
      while (!attempt(() => renameSync(from, to))) attempt(() => rmSync(to, { recursive: true, force: true }));
    };
    while (!existsSync('enough')) {
      move('dir', 'kept');
      move('link', 'dir');
      move('dir', 'link');
      move('kept', 'dir');
    }`;
  return spawn(process.execPath, ['-e', program, workspace, outside], { stdio: 'inherit' });
}
