import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { isReady, type StoredPod, shell, useLocalNode } from './local-node.ts';
import { isAlive, pidsIn } from './processes.ts';

/** Writes its own process id and that of a child in another session, and lives on. */
const family = "echo $$$$ >> pids; setsid sh -c 'echo $$$$ >> pids; exec sleep 1000' & wait";

describe('the local node, stopped and started again', () => {
  const node = useLocalNode();
  const workspace = (pod: StoredPod) => join(node.dir, 'pods', pod.metadata.uid, 'main', 'home', 'workspace');

  it('ends every process when it stops, and brings the Pods back with address and files', async () => {
    await node.create('kept', shell(family));
    await node.create('once', shell(family), { restartPolicy: 'Never' });
    await node.create('none', { image: 'local/none' });
    await node.create('deleted', shell(family));
    const kept = await node.podThat('kept', 'is ready', isReady);
    const once = await node.podThat('once', 'is ready', isReady);
    const none = await node.podThat('none', 'is ready', isReady);
    const deleted = await node.podThat('deleted', 'is ready', isReady);
    const pids = [
      ...(await pidsIn(join(workspace(kept), 'pids'), 2)),
      ...(await pidsIn(join(workspace(once), 'pids'), 2)),
      ...(await pidsIn(join(workspace(deleted), 'pids'), 2)),
    ];

    await node.restart(async () => {
      for (const pid of pids) expect(await isAlive(pid), `process ${pid}`).to.equal(false);
      await node.kubectl('delete', 'pod', 'deleted', '--force', '--grace-period=0');
      const stored = await node.get('kept');
      expect(stored.status, 'stopping writes nothing').to.deep.equal(kept.status);
    });

    const back = await node.podThat('kept', 'runs again', (pod) => {
      return isReady(pod) === true && pod.status.containerStatuses?.[0]?.restartCount === 1;
    });
    expect(back.status.podIP).to.equal(kept.status.podIP);
    expect(back.status.containerStatuses?.[0]?.lastState.terminated).to.include({
      exitCode: 137,
      reason: 'ContainerStatusUnknown',
    });
    await pidsIn(join(workspace(kept), 'pids'), 4);

    const failed = await node.podThat('once', 'has failed', ({ status }) => status.phase === 'Failed');
    expect(failed.status.containerStatuses?.[0]?.restartCount).to.equal(0);
    expect((await node.get('none')).status, 'nothing of it was lost').to.deep.equal(none.status);
    expect(existsSync(join(node.dir, 'pods', deleted.metadata.uid)), 'its folder').to.equal(false);
  });

  it('gives no new Pod the address of one that came back', async () => {
    await node.create('newcomer', { image: 'local/none' });
    const newcomer = await node.podThat('newcomer', 'is ready', isReady);
    const taken = ['kept', 'none'].map(async (name) => (await node.get(name)).status.podIP);
    expect(await Promise.all(taken)).to.not.include(newcomer.status.podIP);
  });

  it('kills what an earlier run left behind when it was itself killed', async () => {
    const uid = '0f4cbe9c-0d2a-4a33-9f4e-6f2f5ef9a001';
    await mkdir(join(node.dir, 'pods', uid), { recursive: true });
    const env = { SOJOURN_POD_UID: uid, SOJOURN_CONTAINER: 'main', PATH: process.env.PATH };
    const orphan = spawn('sleep', ['1000'], { env, detached: true, stdio: 'ignore' });
    const exited = new Promise((resolve) => orphan.once('exit', (_, signal) => resolve(signal)));
    await node.restart();
    expect(await exited).to.equal('SIGKILL');
    expect(existsSync(join(node.dir, 'pods', uid))).to.equal(false);
  });

  it('finishes a deletion that was under way', async () => {
    await node.create('leaving', shell('trap "" TERM; while :; do sleep 1; done'));
    await node.podThat('leaving', 'is ready', isReady);
    await node.kubectl('delete', 'pod', 'leaving', '--wait=false');
    await node.podThat('leaving', 'is terminating', ({ metadata }) => metadata.deletionTimestamp !== undefined);
    await node.restart();
    await node.gone('leaving');
  });
});
