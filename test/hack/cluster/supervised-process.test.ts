import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { ProcessExit } from '../../../hack/cluster/process.ts';
import { Supervisor } from '../../../hack/cluster/supervisor.ts';
import { identify, signalGroup } from '../../../hack/kube/process-identity.ts';
import { SetupError } from '../../../hack/kube/setup-error.ts';
import { until } from '../../support/until.ts';

describe('a supervised process', () => {
  let dir: string;
  let supervisor: Supervisor;
  let exits: ProcessExit[];

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sojourn-process-'));
    exits = [];
    supervisor = new Supervisor(dir, (exit) => exits.push(exit));
  });
  afterEach(async () => {
    await supervisor.stop();
    await rm(dir, { recursive: true });
  });

  const shell = (script: string) => supervisor.start({ name: 'shell', file: 'sh', args: ['-c', script] });
  const logged = async (pattern: RegExp): Promise<RegExpExecArray> =>
    await until(`${pattern.source} in the log`, async () => {
      return pattern.exec(await readFile(join(dir, 'logs', 'shell.log'), 'utf8')) ?? undefined;
    });
  const messageOf = async (failing: Promise<void>): Promise<string> => {
    const error = await failing.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).to.be.instanceOf(SetupError);
    return (error as SetupError).message;
  };

  it('that ends before it is ready is explained with its last words of this run', async () => {
    await (await shell('echo the earlier run')).exited;
    const started = await shell('echo out; echo no such option >&2; exit 3');
    const message = await messageOf(started.ready(async () => false, { deadlineMs: 30_000 }));
    expect(message).to.equal(
      'shell ended before it was ready (exit code 3). The end of its log:\nout\nno such option\n' +
        `All of it: ${join(dir, 'logs', 'shell.log')}`,
    );
  });

  it('that never gets ready is given up at the deadline', async () => {
    const started = await shell('echo trying; sleep 60');
    await logged(/trying/);
    const message = await messageOf(started.ready(async () => false, { deadlineMs: 100 }));
    expect(message).to.match(/^shell was not ready after 0 s\. The end of its log:\ntrying\n/);
  });

  it('that does not exist is said in one sentence', async () => {
    const starting = supervisor.start({ name: 'absent', file: join(dir, 'absent'), args: [] });
    expect(await messageOf(starting.then(() => undefined))).to.match(/^absent could not be started: .*ENOENT/);
  });

  it('that ends by itself is reported once, with its exit code and log', async () => {
    await shell('echo farewell; exit 7');
    const exit = await until('the report', async () => exits[0]);
    expect(exit).to.include({ name: 'shell', code: 7, signal: null, logTail: 'farewell' });
    await supervisor.stop();
    expect(exits).to.have.length(1);
  });

  it('is stopped together with its children, by force when it ignores SIGTERM, and not reported', async () => {
    const started = await shell(`trap '' TERM; sh -c 'trap "" TERM; echo child $$; while :; do sleep 1; done' & wait`);
    const child = Number((await logged(/child (\d+)/))[1]);
    await started.stop({ graceMs: 100 });
    expect(await identify(started.pid)).to.equal(undefined);
    await until('the child to end', async () => (await identify(child)) === undefined);
    expect(exits).to.deep.equal([]);
  });

  it('does not outlive its supervisor, even when that is killed', async () => {
    const script = join(import.meta.dirname, 'supervise.ts');
    const parent = spawn(process.execPath, [script, dir], { stdio: ['pipe', 'pipe', 'inherit'] });
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(line.toString());
    expect(await identify(pid)).to.not.equal(undefined);
    parent.kill('SIGKILL');
    await until('its whole group to end', async () => !signalGroup(pid, 0));
  });

  it('of an earlier run is ended by the next one; a stranger with its pid is not', async () => {
    const [orphan, stranger] = [await shell('sleep 60'), await shell('sleep 60')];
    const record = JSON.parse(await readFile(join(dir, 'pids.json'), 'utf8')) as { pid: number; startTime: string }[];
    const [first, second] = record;
    await writeFile(join(dir, 'pids.json'), JSON.stringify([first, { ...second, startTime: '1' }]));
    const next = new Supervisor(dir, () => undefined);
    expect(await next.endLeftovers()).to.deep.equal(['shell']);
    expect(await identify(orphan.pid)).to.equal(undefined);
    expect(await identify(stranger.pid)).to.not.equal(undefined);
    expect(await next.endLeftovers()).to.deep.equal([]);
  });

  it('that is started again is stopped where it stood before: after those that came later', async () => {
    const record = join(dir, 'stopped');
    const start = async (name: string) => {
      const script = `trap 'echo ${name} >> ${record}; exit' TERM; echo up > ${join(dir, name)}; while :; do sleep 0.05; done`;
      const started = await supervisor.start({ name, file: 'sh', args: ['-c', script] });
      const isUp = async () => (await readFile(join(dir, name), 'utf8').catch(() => '')) !== '';
      await started.ready(isUp, { deadlineMs: 30_000 });
      return started;
    };
    const server = await start('server');
    await start('client');
    await server.kill();
    await rm(join(dir, 'server'));
    await start('server');
    await supervisor.stop();
    expect(await readFile(record, 'utf8')).to.equal('client\nserver\n');
  });
});
