import { symlink, writeFile } from 'node:fs/promises';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { expect } from 'chai';
import { type Answer, eventually, startDaemon, type TestDaemon } from './harness.ts';

describe('a command', () => {
  let daemon: TestDaemon;
  before(async () => {
    daemon = await startDaemon({ environment: { ...process.env, SOJOURN_SECRET: 'secret', CONTAINER: 'yes' } });
  });
  after(() => daemon.stop());

  const post = (body: unknown) =>
    daemon.request('/api/execute', { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) });

  it('answers with what it wrote, its exit code and its times', async () => {
    const result = await daemon.execute({ command: ['sh', '-c', 'echo out; echo err >&2; sleep 0.1; exit 3'] });
    expect(result).to.include({ stdout: 'out\n', stderr: 'err\n', exit_code: 3 });
    expect(result).to.have.all.keys('stdout', 'stderr', 'exit_code', 'duration', 'start_time', 'end_time');
    // Above it would be milliseconds.
    expect(result.duration).to.be.within(0.1, 50);
    expect(Date.parse(result.end_time) - Date.parse(result.start_time)).to.be.within(100, 50_000);
  });

  it('and everything else that is answered in JSON ends with a newline', async () => {
    const answers = await Promise.all([
      post({ command: ['true'] }),
      post({ command: [] }),
      daemon.request('/health'),
      daemon.request('/api/files?path=.'),
      daemon.request('/api/environment', { method: 'PUT', body: '{"env": {}}' }),
      daemon.request('/nowhere'),
    ]);
    for (const answer of answers) {
      expect(answer.text).to.match(/\}\n$/);
      expect(answer.headers['content-length']).to.equal(String(answer.body.length));
      expect(answer.json()).to.be.an('object');
    }
  });

  it('runs without a shell', async () => {
    const { stdout } = await daemon.execute({ command: ['echo', '$HOME', '&&', 'a b', '*', '"'] });
    expect(stdout).to.equal('$HOME && a b * "\n');
  });

  it('runs Python as AgentCube SDK sends it', async () => {
    const result = await daemon.execute({ command: ['python3', '-c', 'print(6 * 7)'], timeout: '5.5s' });
    expect(result).to.include({ stdout: '42\n', exit_code: 0 });
  });

  it('has nothing on its standard input', async () => {
    expect(await daemon.execute({ command: ['cat'], timeout: '5s' })).to.include({ stdout: '', exit_code: 0 });
  });

  it('that does not exist answers 200 with exit code 1 and the reason, as PicoD does', async () => {
    const result = await daemon.execute({ command: ['no-such-program'] });
    expect(result).to.include({ stdout: '', exit_code: 1 });
    expect(result.stderr).to.equal('exec: "no-such-program": executable file not found in $PATH');
  });

  it('that may not be executed answers alike', async () => {
    await writeFile(join(daemon.workspace, 'data'), 'data');
    const result = await daemon.execute({ command: ['./data'] });
    expect(result.exit_code).to.equal(1);
    expect(result.stderr).to.include('permission denied');
  });

  it('with more arguments than the system takes answers alike', async () => {
    const result = await daemon.execute({ command: ['true', 'x'.repeat(4 * 1024 * 1024)] });
    expect(result.exit_code).to.equal(1);
    expect(result.stderr).to.include('too long');
  });

  it('that a signal kills has exit code -1', async () => {
    const result = await daemon.execute({ command: ['sh', '-c', 'echo before; kill -SEGV $$'] });
    expect(result).to.include({ stdout: 'before\n', exit_code: -1 });
  });

  it('may write bytes that are no text', async () => {
    const { stdout } = await daemon.execute({ command: ['printf', 'a\\377\\000\\342\\202\\254\\n'] });
    expect(stdout).to.equal('a\uFFFD\0€\n');
  });

  it('may write more than a pipe holds, on both streams at once', async () => {
    const script = 'head -c 900000 /dev/zero | tr "\\0" a; head -c 900000 /dev/zero | tr "\\0" b >&2';
    const { stdout, stderr } = await daemon.execute({ command: ['sh', '-c', `(${script}) & (${script}); wait`] });
    expect([stdout.length, stderr.length]).to.deep.equal([1_800_000, 1_800_000]);
  });

  it('whose output is too large ends all the same, and the answer says that it was cut', async () => {
    // Characters of three bytes, so that the limit falls into the middle of one.
    const script = 'import sys; sys.stdout.write("€" * 1000000); sys.stderr.write("done")';
    const result = await daemon.execute({ command: ['python3', '-c', script] });
    expect(result.exit_code).to.equal(0);
    expect(result.stdout_truncated).to.equal(true);
    expect(result).to.not.have.property('stderr_truncated');
    expect(result.stdout).to.have.length(Math.floor((2 * 1024 * 1024) / 3));
    expect(result.stdout.endsWith('€')).to.equal(true);
    expect(result.stderr).to.match(/^done\nstdout was cut after 2097152 bytes/);
  });

  it('runs in the workspace, or in the folder asked for, which is made when missing', async () => {
    expect((await daemon.execute({ command: ['pwd'] })).stdout).to.equal(`${daemon.workspace}\n`);
    const pwd = ['sh', '-c', 'pwd; echo $PWD; readlink /proc/self/cwd'];
    const made = join(daemon.workspace, 'made/here');
    for (const working_dir of ['made/here', '/made/here/', './made/x/../here']) {
      const { stdout } = await daemon.execute({ command: pwd, working_dir });
      expect(stdout, working_dir).to.equal(`${made}\n${made}\n${made}\n`);
    }
  });

  it('does not run outside of the workspace', async () => {
    await symlink('/', join(daemon.workspace, 'root'));
    for (const working_dir of ['..', '/..', 'a/../..', 'root', 'root/tmp']) {
      const answer = await post({ command: ['ls'], working_dir });
      expect(answer.status, working_dir).to.equal(400);
      expect(answer.json()).to.include({ reason: 'PathOutsideWorkspace' });
      expect(answer.json<{ error: string }>().error).to.match(/^Invalid working directory: /);
    }
    await writeFile(join(daemon.workspace, 'file'), '');
    for (const working_dir of ['file', 'file/x', 'a\0b', 1]) {
      expect((await post({ command: ['ls'], working_dir })).status, String(working_dir)).to.equal(400);
    }
  });

  it("has the container's environment and its own, and none of the daemon's", async () => {
    const env = { OWN: 'a=b', CONTAINER: 'changed', __proto__: null, constructor: 'c' };
    const { stdout } = await daemon.execute({ command: ['env'], env });
    const lines = stdout.split('\n');
    expect(lines).to.include.members(['OWN=a=b', 'CONTAINER=changed', 'constructor=c', `PATH=${process.env.PATH}`]);
    expect(stdout).to.not.include('secret');
    expect(lines.filter((line) => line.startsWith('SOJOURN_')).map((line) => line.split('=')[0])).to.deep.equal([
      'SOJOURN_EXEC_ID',
    ]);
  });

  it('does not inherit the files that the daemon has open', async () => {
    const { stdout } = await daemon.execute({ command: ['ls', '-l', '/proc/self/fd'] });
    expect(stdout).to.not.include(daemon.workspace).and.not.include('socket:');
  });

  it('can open its output by name', async () => {
    const script = 'echo out > /dev/stdout; echo err > /dev/stderr; echo both | tee /dev/stderr';
    const { stdout, stderr } = await daemon.execute({ command: ['sh', '-c', script] });
    expect([stdout, stderr]).to.deep.equal(['out\nboth\n', 'err\nboth\n']);
  });

  it('leaves its connection to the next one', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (const number of ['1', '2']) {
      const request = { method: 'POST', body: JSON.stringify({ command: ['echo', number] }), agent };
      const answer = await daemon.request('/api/execute', request);
      expect(answer.json()).to.include({ stdout: `${number}\n` });
      expect(answer.headers.connection).to.equal('keep-alive');
    }
    agent.destroy();
  });

  it('runs beside many others without mixing their output', async () => {
    const numbers = Array.from({ length: 12 }, (_, number) => String(number));
    const results = await Promise.all(numbers.map((number) => daemon.execute({ command: ['echo', number] })));
    expect(results.map((result) => result.stdout)).to.deep.equal(numbers.map((number) => `${number}\n`));
  });

  for (const [what, body] of [
    ['no command', {}],
    ['an empty command', { command: [] }],
    ['an empty program', { command: [''] }],
    ['a command line', { command: 'ls -l' }],
    ['an argument that is no text', { command: ['ls', 1] }],
    ['a NUL byte', { command: ['ls', 'a\0b'] }],
    ['a timeout that is no duration', { command: ['ls'], timeout: '5 minutes' }],
    ['a timeout without a unit', { command: ['ls'], timeout: '5' }],
    ['a timeout that is a number', { command: ['ls'], timeout: 5 }],
    ['a timeout of zero', { command: ['ls'], timeout: '0s' }],
    ['a timeout in the past', { command: ['ls'], timeout: '-1s' }],
    ['an environment that is a list', { command: ['ls'], env: ['A=b'] }],
    ['an environment of numbers', { command: ['ls'], env: { A: 1 } }],
    ['a variable with = in its name', { command: ['ls'], env: { 'A=B': 'c' } }],
    ['a variable with NUL', { command: ['ls'], env: { A: 'b\0' } }],
    ['a body that is no object', []],
    ['a body that is no JSON', '{"command":["ls"]'],
    ['an empty body', ''],
  ] as const) {
    it(`with ${what} is refused with 400`, async () => {
      const answer = await post(body);
      expect(answer.status).to.equal(400);
      expect(answer.json()).to.include({ code: 400, reason: 'BadRequest' });
    });
  }

  it('ignores fields that it does not know, as PicoD does', async () => {
    expect(await daemon.execute({ command: ['true'], language: 'python' })).to.include({ exit_code: 0 });
  });

  it('may have a timeout longer than any timer', async () => {
    expect(await daemon.execute({ command: ['sleep', '0.1'], timeout: '10000h' })).to.include({ exit_code: 0 });
  });

  it('is refused with 429 while too many others run', async () => {
    const gone = new AbortController();
    const answers: Answer[] = [];
    const attempts = Array.from({ length: 22 }, async () => {
      const request = { method: 'POST', body: '{"command":["sleep","600"]}', signal: gone.signal };
      await daemon.request('/api/execute', request).then((answer) => answers.push(answer), expectAbort);
    });
    await eventually('16 run and 6 are refused', () => answers.length === 6);
    for (const answer of answers) {
      expect(answer.status).to.equal(429);
      expect(answer.json()).to.include({ reason: 'TooManyRequests' });
      expect(answer.headers['retry-after']).to.equal('1');
    }
    gone.abort();
    await Promise.all(attempts);
    await eventually('commands run again', async () => (await post({ command: ['true'] })).status === 200);
  });
});

function expectAbort(error: Error): void {
  expect(error.name).to.equal('AbortError');
}
