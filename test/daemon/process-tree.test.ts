import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { expect } from 'chai';
import { errorCode } from '../../daemon/http/errors.ts';
import { eventually, startDaemon, startDaemonProcess, type TestDaemon } from './harness.ts';

/** A number of seconds that no other process on this machine sleeps. */
function uniqueSeconds(): string {
  return `3600.${Math.floor(Math.random() * 1e9)}`;
}

/** Processes with this word among their arguments that are not dead. */
function alive(word: string): number {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => {
    try {
      // A zombie has no arguments any more.
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(word);
    } catch (error) {
      if (['ENOENT', 'ESRCH', 'EACCES'].includes(errorCode(error) ?? '')) return false;
      throw error;
    }
  }).length;
}

describe("a command's process tree", () => {
  let daemon: TestDaemon;
  beforeEach(async () => {
    daemon = await startDaemon();
  });
  afterEach(() => daemon.stop());

  /** Three sleepers that a kill of the direct child alone would leave, and one in the foreground. */
  const tree = (seconds: string) => [
    'sh',
    '-c',
    `sleep ${seconds} & setsid sleep ${seconds} & env -i setsid sleep ${seconds} & exec sleep ${seconds}`,
  ];

  it('is killed as a whole on timeout, and the answer comes at once', async () => {
    const seconds = uniqueSeconds();
    const started = Date.now();
    const script = `echo begun; echo warned >&2; ${tree(seconds)[2]}`;
    const answer = daemon.execute({ command: ['sh', '-c', script], timeout: '5s' });
    await eventually('the tree runs', () => alive(seconds) === 4);
    const result = await answer;
    // Far from the end of what runs.
    expect(Date.now() - started).to.be.within(5_000, 30_000);
    expect(result).to.include({
      stdout: 'begun\n',
      stderr: 'warned\nCommand timed out after 5 seconds',
      exit_code: 124,
    });
    expect(alive(seconds)).to.equal(0);
  });

  it('is killed on timeout although it ignores signals and forks all the time', async () => {
    const seconds = uniqueSeconds();
    const script = `trap "" TERM INT HUP; while :; do setsid sleep ${seconds} & sleep 0.02; done`;
    const answer = daemon.execute({ command: ['sh', '-c', script], timeout: '3s' });
    await eventually('it forks', () => alive(seconds) > 1);
    expect(await answer).to.include({ stderr: 'Command timed out after 3 seconds', exit_code: 124 });
    expect(alive(seconds)).to.equal(0);
  });

  it('is killed when the client goes away', async () => {
    const seconds = uniqueSeconds();
    const gone = new AbortController();
    const answer = daemon
      .execute({ command: tree(seconds) }, { signal: gone.signal })
      .catch((error: Error) => error.name);
    await eventually('the tree runs', () => alive(seconds) === 4);
    gone.abort();
    expect(await answer).to.equal('AbortError');
    await eventually('the tree is gone', () => alive(seconds) === 0);
    expect(daemon.log.filter((line) => line.includes('"level":"error"'))).to.deep.equal([]);
  });

  it('may leave a background process, which does not hold up the answer and lives on', async () => {
    const seconds = uniqueSeconds();
    const started = Date.now();
    const result = await daemon.execute({ command: ['sh', '-c', `sleep ${seconds} & echo started`] });
    // What it has left runs for an hour.
    expect(Date.now() - started).to.be.lessThan(20_000);
    expect(result).to.include({ stdout: 'started\n', exit_code: 0 });
    await eventually('the background process runs', () => alive(seconds) === 1);
    await daemon.execute({ command: ['true'] });
    await daemon.execute({ command: ['sleep', '60'], timeout: '100ms' });
    expect(alive(seconds), "another command's timeout is nothing to it").to.equal(1);
  });

  it('may leave a server whose log nobody reads any more, without breaking it', async () => {
    const script = '(for i in $(seq 15); do echo tick || exit 1; sleep 0.02; done; echo whole > log) &';
    await daemon.execute({ command: ['sh', '-c', script] });
    await eventually('the server has come to its end', async () => {
      const answer = await daemon.request('/api/files/log');
      return answer.text === 'whole\n';
    });
  });

  it('is killed when the daemon stops, what was left in the background included', async () => {
    const local = await startDaemon();
    const [left, running] = [uniqueSeconds(), uniqueSeconds()];
    await local.execute({ command: ['sh', '-c', `setsid sleep ${left} & true`] });
    const answer = local.execute({ command: tree(running) });
    await eventually('both run', () => alive(left) === 1 && alive(running) === 4);
    const started = Date.now();
    await local.stop();
    // Kubernetes waits for 30 s.
    expect(Date.now() - started).to.be.lessThan(20_000);
    expect(alive(left) + alive(running)).to.equal(0);
    expect(await answer, 'the caller is told').to.include({ exit_code: -1 });
  });

  it("does not touch another daemon's commands", async () => {
    const other = await startDaemon();
    const seconds = uniqueSeconds();
    await daemon.execute({ command: ['sh', '-c', `sleep ${seconds} & true`] });
    await eventually('the background process runs', () => alive(seconds) === 1);
    await other.stop();
    expect(alive(seconds)).to.equal(1);
  });
});

describe('SIGTERM', () => {
  it('ends the daemon within a few seconds, with its commands and a half-sent upload', async () => {
    const daemon = await startDaemonProcess();
    const seconds = uniqueSeconds();
    const running = daemon.execute({ command: ['sh', '-c', `setsid sleep ${seconds} & sleep ${seconds}`] });
    await eventually('the command runs', () => alive(seconds) === 2);
    const upload = connect(daemon.port, '127.0.0.1');
    upload.on('error', () => upload.destroy());
    upload.write(
      `POST /api/files HTTP/1.1\r\nHost: d\r\nAuthorization: Bearer ${await daemon.token()}\r\n` +
        'Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000\r\n\r\n' +
        '--b\r\nContent-Disposition: form-data; name="path"\r\n\r\nfile\r\n' +
        '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nhalf',
    );
    await eventually('the upload has begun', async () => (await readdir(daemon.workspace)).length === 1);
    const started = Date.now();
    const exited = once(daemon.child, 'exit');
    daemon.child.kill('SIGTERM');
    expect((await exited)[0]).to.equal(0);
    expect(Date.now() - started).to.be.lessThan(20_000);
    expect(alive(seconds)).to.equal(0);
    expect(await running).to.include({ exit_code: -1 });
    expect(await readdir(daemon.workspace)).to.deep.equal([]);
    await daemon.stop();
  });

  it('closes the port', async () => {
    const daemon = await startDaemonProcess();
    expect((await daemon.request('/health')).status).to.equal(200);
    await daemon.stop();
    expect(await daemon.request('/health').then(() => 'answered', errorCode)).to.equal('ECONNREFUSED');
  });
});
