import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { until } from '../../support/until.ts';
import { isReady, type StoredPod, shell, useLocalNode } from './local-node.ts';
import { isAlive, pidsIn } from './processes.ts';

/** Ignores SIGTERM, and starts a child in a session of its own that does, too. `$$` is written `$$$$` in Kubernetes. */
const stubborn = `trap "" TERM; echo $$$$ >> pids
setsid sh -c 'trap "" TERM; echo $$$$ >> pids; while :; do sleep 1; done' &
while :; do sleep 1; done`;

describe('deleting a Pod of the local node', () => {
  const node = useLocalNode();
  const folder = (pod: StoredPod) => join(node.dir, 'pods', pod.metadata.uid);
  const pids = async (pod: StoredPod, count: number) =>
    await pidsIn(join(folder(pod), 'main', 'home', 'workspace', 'pids'), count);

  it('lets its process end by itself within the grace, and takes its folder away', async () => {
    const script = 'trap "echo bye; exit 0" TERM; echo $$$$ > pids; while :; do sleep 0.05; done';
    await node.create('graceful', shell(script));
    const pod = await node.podThat('graceful', 'is ready', isReady);
    const [pid = 0] = await pids(pod, 1);
    expect(await isAlive(pid)).to.equal(true);
    const { stdout } = await node.kubectl('delete', 'pod', 'graceful');
    expect(stdout).to.contain('deleted');
    await node.gone('graceful');
    expect(await isAlive(pid)).to.equal(false);
    await until('the folder to be gone', () => !existsSync(folder(pod)));
  });

  it('kills what ignores SIGTERM after the grace, with all that it has started', async () => {
    await node.create('stubborn', shell(stubborn));
    const pod = await node.podThat('stubborn', 'is ready', isReady);
    const all = await pids(pod, 2);
    const began = performance.now();
    await node.kubectl('delete', 'pod', 'stubborn', '--grace-period=1');
    await node.gone('stubborn');
    // The Pod's own grace is 30 s.
    expect(performance.now() - began).to.be.within(900, 25_000);
    for (const pid of all) expect(await isAlive(pid), `process ${pid}`).to.equal(false);
    await node.told('stubborn', 'Killing', 'Stopping container main');
  });

  it('reports how its containers ended before the object goes', async () => {
    await node.create('reported', shell('trap "exit 5" TERM; echo $$$$ > pids; while :; do sleep 0.05; done'));
    const pod = await node.podThat('reported', 'is ready', isReady);
    await pids(pod, 1);
    // A finalizer keeps the object for us to look at.
    await node.kubectl('patch', 'pod', 'reported', '-p', '{"metadata":{"finalizers":["example.com/look"]}}');
    await node.kubectl('delete', 'pod', 'reported', '--wait=false');
    const ended = await node.podThat('reported', 'has ended', ({ status }) => status.phase === 'Failed');
    expect(ended.status.containerStatuses?.[0]?.state.terminated).to.include({ exitCode: 5, reason: 'Error' });
    expect(isReady(ended)).to.equal(false);
    await node.kubectl('patch', 'pod', 'reported', '-p', '{"metadata":{"finalizers":null}}');
    await node.gone('reported');
  });

  it('by force kills its processes at once', async () => {
    await node.create('forced', shell(stubborn));
    const pod = await node.podThat('forced', 'is ready', isReady);
    const all = await pids(pod, 2);
    await node.kubectl('delete', 'pod', 'forced', '--force', '--grace-period=0');
    for (const pid of all) await until(`process ${pid} to be gone`, async () => !(await isAlive(pid)));
    await until('the folder to be gone', () => !existsSync(folder(pod)));
  });

  it('ends one that could never start', async () => {
    await node.create('imageless', { image: 'nowhere/nothing' });
    await node.podThat('imageless', 'waits', ({ status }) => status.containerStatuses !== undefined);
    await node.kubectl('delete', 'pod', 'imageless');
    await node.gone('imageless');
  });

  it('makes room for another of the same name, with another address and empty folders', async () => {
    const script = 'ls; echo used > file; sleep 1000';
    const used = async (pod: StoredPod) =>
      await until('the file', () => existsSync(join(folder(pod), 'main', 'home', 'workspace', 'file')));
    await node.create('again', shell(script));
    const first = await node.podThat('again', 'is ready', isReady);
    await used(first);
    await node.kubectl('delete', 'pod', 'again', '--grace-period=1');
    await node.create('again', shell(script));
    const second = await node.podThat('again', 'is ready', isReady);
    expect(second.metadata.uid).to.not.equal(first.metadata.uid);
    expect(second.status.podIP).to.not.equal(first.status.podIP);
    await used(second);
    expect((await node.kubectl('logs', 'again')).stdout).to.equal('');
  });

  it('leaves nothing behind when a container has ended but what it started has not', async () => {
    const script =
      "setsid sh -c 'echo $$$$ > pids; exec sleep 1000' & while [ ! -s pids ]; do sleep 0.01; done; exit 0";
    await node.create('orphaning', shell(script), { restartPolicy: 'Never' });
    const pod = await node.podThat('orphaning', 'has ended', ({ status }) => status.phase === 'Succeeded');
    const [pid = 0] = await pids(pod, 1);
    expect(await isAlive(pid)).to.equal(false);
  });
});
