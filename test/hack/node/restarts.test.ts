import { expect } from 'chai';
import type { ContainerStatus } from '../../../hack/cluster/node/api/pod.ts';
import { shell, useLocalNode } from './local-node.ts';

describe('restarts on the local node', () => {
  const node = useLocalNode();
  const main = (pod: { status: { containerStatuses?: ContainerStatus[] } }) => pod.status.containerStatuses?.[0];

  it('restarts at once, then waits in CrashLoopBackOff with the exit code of the last attempt', async () => {
    await node.create('crashing', shell('exit 42'));
    const pod = await node.podThat('crashing', 'backs off', (seen) => main(seen)?.state.waiting !== undefined);
    const status = main(pod);
    const named = `pod=crashing_${node.namespace}(${pod.metadata.uid})`;
    expect(status?.state.waiting).to.deep.equal({
      reason: 'CrashLoopBackOff',
      message: `back-off 10s restarting failed container=main ${named}`,
    });
    expect(status?.lastState.terminated).to.include({ exitCode: 42, reason: 'Error' });
    expect(status?.restartCount).to.equal(1);
    expect(status?.ready).to.equal(false);
    expect(pod.status.phase).to.equal('Running');
    expect((await node.kubectl('get', 'pod', 'crashing')).stdout).to.contain('CrashLoopBackOff');
    await node.told('crashing', 'BackOff', 'Back-off restarting failed container main in pod');
  });

  it('ends a Pod that is never restarted as its exit code says', async () => {
    await node.create('well', shell('exit 0'), { restartPolicy: 'Never' });
    await node.create('ill', shell('exit 7'), { restartPolicy: 'Never' });
    const well = await node.podThat('well', 'has ended', ({ status }) => status.phase === 'Succeeded');
    expect(main(well)?.state.terminated).to.include({ exitCode: 0, reason: 'Completed' });
    const ready = well.status.conditions?.find(({ type }) => type === 'Ready');
    expect(ready).to.include({ status: 'False', reason: 'PodCompleted' });
    const ill = await node.podThat('ill', 'has ended', ({ status }) => status.phase === 'Failed');
    expect(main(ill)?.state.terminated).to.include({ exitCode: 7, reason: 'Error' });
    expect(main(ill)?.restartCount).to.equal(0);
  });

  it('restarts on failure only what has failed', async () => {
    // Kubernetes itself makes $$ of $$$$.
    const script = 'if [ -e was ]; then exit 0; fi; touch was; kill -KILL $$$$';
    await node.create('retried', shell(script), { restartPolicy: 'OnFailure' });
    const pod = await node.podThat('retried', 'has ended', ({ status }) => status.phase === 'Succeeded');
    expect(main(pod)?.restartCount).to.equal(1);
    expect(main(pod)?.lastState.terminated).to.include({ exitCode: 137, signal: 9, reason: 'Error' });
  });

  it('says StartError for a command that is not there', async () => {
    await node.create('absent', { command: ['no-such-program'] }, { restartPolicy: 'Never' });
    const pod = await node.podThat('absent', 'has failed', ({ status }) => status.phase === 'Failed');
    expect(main(pod)?.state.terminated).to.include({ exitCode: 128, reason: 'StartError' });
    expect(main(pod)?.state.terminated?.message).to.contain('"no-such-program": executable file not found in $PATH');
  });

  it('runs init containers one after the other before the others, and fails with them', async () => {
    const initContainers = ['one', 'two'].map((name) => ({
      name,
      image: 'local/process',
      command: ['/bin/sh', '-c', `echo ${name}`],
    }));
    await node.create('prepared', shell('echo main'), { initContainers, restartPolicy: 'Never' });
    const pod = await node.podThat('prepared', 'has ended', ({ status }) => status.phase === 'Succeeded');
    const [one, two] = pod.status.initContainerStatuses ?? [];
    expect([one?.ready, two?.ready]).to.deep.equal([true, true]);
    expect((await node.kubectl('logs', 'prepared', '-c', 'two')).stdout).to.equal('two\n');

    const failing = [{ name: 'one', image: 'local/process', command: ['false'] }];
    await node.create('unprepared', shell('echo main'), { initContainers: failing, restartPolicy: 'Never' });
    const failed = await node.podThat('unprepared', 'has failed', ({ status }) => status.phase === 'Failed');
    expect(main(failed)?.state.waiting?.reason).to.equal('PodInitializing');
    const initialized = failed.status.conditions?.find(({ type }) => type === 'Initialized');
    expect(initialized).to.include({ status: 'False', message: 'containers with incomplete status: [one]' });
  });

  it('starts a container again whose image is changed', async () => {
    await node.create('changed', { command: ['sleep', '1000'], image: 'local/process:1' });
    await node.podThat('changed', 'runs', ({ status }) => status.phase === 'Running');
    const patch = '{"spec":{"containers":[{"name":"main","image":"local/process:2"}]}}';
    await node.kubectl('patch', 'pod', 'changed', '-p', patch);
    const pod = await node.podThat('changed', 'runs the new image', (seen) => {
      const status = main(seen);
      return status?.restartCount === 1 && status.state.running !== undefined;
    });
    expect(main(pod)?.image).to.equal('local/process:2');
    expect(pod.status.observedGeneration).to.equal(2);
  });
});

describe('the back-off of the local node', () => {
  const node = useLocalNode({ backoff: { firstMs: 100, longestMs: 400 } });

  it('doubles up to its longest, and counts every restart', async () => {
    await node.create('crashing', shell('exit 1'));
    await node.podThat('crashing', 'has come back five times', ({ status }) => {
      return (status.containerStatuses?.[0]?.restartCount ?? 0) >= 5;
    });
    await node.told('crashing', 'BackOff', 'Back-off restarting failed container main in pod crashing_');
    const before = (await node.get('crashing')).status.containerStatuses?.[0]?.restartCount ?? 0;
    await node.restart();
    await node.podThat('crashing', 'counts on', ({ status }) => {
      return (status.containerStatuses?.[0]?.restartCount ?? 0) > before;
    });
  });

  it('of an image alternates between ErrImagePull and ImagePullBackOff', async () => {
    await node.create('imageless', { image: 'nowhere/nothing' });
    const reason = async (wanted: string) =>
      await node.podThat('imageless', wanted, ({ status }) => {
        return status.containerStatuses?.[0]?.state.waiting?.reason === wanted;
      });
    for (const wanted of ['ErrImagePull', 'ImagePullBackOff', 'ErrImagePull', 'ImagePullBackOff']) await reason(wanted);
    await node.told('imageless', 'Failed', 'Error: ErrImagePull');
    await node.told('imageless', 'Failed', 'Error: ImagePullBackOff');
  });
});
