import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { daemonEnv } from '../../apis/wire/daemon.ts';
import { newKeys, spawnDaemon, startDaemonProcess } from './harness.ts';

describe('a daemon that starts', () => {
  const settings = async (): Promise<NodeJS.ProcessEnv> => ({
    PATH: process.env.PATH,
    [daemonEnv.rootKey]: (await newKeys()).rootPublic,
    [daemonEnv.namespace]: 'team',
    [daemonEnv.sandbox]: 'py-x7k2p',
    [daemonEnv.podUid]: 'pod-1',
    [daemonEnv.listenAddress]: '127.0.0.1',
    [daemonEnv.listenPort]: '0',
    [daemonEnv.workspace]: tmpdir(),
  });
  const run = async (env: NodeJS.ProcessEnv, flags: readonly string[] = []) => {
    const child = spawnDaemon([], env, flags);
    const exited = once(child, 'exit');
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    return { code: (await exited)[0] as number | null, stdout, stderr };
  };

  for (const [name, value] of [
    [daemonEnv.rootKey, undefined],
    [daemonEnv.namespace, ''],
    [daemonEnv.sandbox, undefined],
  ] as const) {
    it(`ends with 2 and one sentence without ${name}`, async () => {
      const { code, stderr } = await run({ ...(await settings()), [name]: value });
      expect(code).to.equal(2);
      expect(stderr).to.include(name);
      expect(stderr.trim().split('\n')).to.have.length(1);
    });
  }

  it('names everything that is missing at once', async () => {
    const { code, stderr } = await run({});
    expect(code).to.equal(2);
    for (const name of [daemonEnv.rootKey, daemonEnv.namespace, daemonEnv.sandbox]) expect(stderr).to.include(name);
  });

  it('ends with 2 and one sentence when the root key is none', async () => {
    const { code, stderr } = await run({ ...(await settings()), [daemonEnv.rootKey]: 'Z2FyYmFnZQ==' });
    expect(code).to.equal(2);
    expect(stderr).to.include(daemonEnv.rootKey);
    expect(stderr.trim().split('\n')).to.have.length(1);
  });

  it('ends with 2 and one sentence when the workspace is a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sojourn-daemon-'));
    await writeFile(join(folder, 'file'), '');
    const { code, stderr } = await run({ ...(await settings()), [daemonEnv.workspace]: join(folder, 'file') });
    await rm(folder, { recursive: true });
    expect(code).to.equal(2);
    expect(stderr).to.include('workspace');
    expect(stderr.trim().split('\n')).to.have.length(1);
  });

  it('ends with 2 on a flag that it does not know', async () => {
    expect((await run(await settings(), ['--jwt-key=x'])).code).to.equal(2);
  });

  it('explains its flags with --help', async () => {
    const { code, stdout } = await run({}, ['--help']);
    expect(code).to.equal(0);
    for (const flag of ['--root-key', '--workspace', '--port', ...Object.values(daemonEnv)]) {
      expect(stdout).to.include(flag);
    }
  });

  it('says where it listens and nothing about its keys', async () => {
    const daemon = await startDaemonProcess();
    const line = JSON.parse(daemon.log[0] ?? '') as Record<string, unknown>;
    expect(line).to.include({ message: 'serving', address: '127.0.0.1', port: daemon.port, sandbox: 'team/py-x7k2p' });
    expect(daemon.log.join('')).to.not.include(daemon.keys.rootPublic);
    await daemon.stop();
  });
});
