import { expect } from 'chai';
import { isReady, useLocalNode } from './local-node.ts';

describe('what the local node cannot do', () => {
  const node = useLocalNode();

  it('mount a volume of another machine: says FailedMount and keeps the Pod waiting', async () => {
    const volumes = [{ name: 'shared', nfs: { server: 'files', path: '/' } }];
    const container = { command: ['true'], volumeMounts: [{ name: 'shared', mountPath: '/shared' }] };
    await node.create('mounting', container, { volumes });
    const pod = await node.podThat('mounting', 'waits', ({ status }) => status.containerStatuses !== undefined);
    expect(pod.status.phase).to.equal('Pending');
    expect(pod.status.containerStatuses?.[0]?.state.waiting?.reason).to.equal('ContainerCreating');
    const message = 'MountVolume.SetUp failed for volume "shared" : nfs volumes are not supported by the local node';
    await node.told('mounting', 'FailedMount', message);
    await node.kubectl('delete', 'pod', 'mounting');
    await node.gone('mounting');
  });

  it('run a sidecar: keeps the Pod waiting with the reason', async () => {
    const initContainers = [{ name: 'side', image: 'local/process', command: ['sleep', '9'], restartPolicy: 'Always' }];
    await node.create('accompanied', { command: ['true'] }, { initContainers } as object);
    const pod = await node.podThat('accompanied', 'waits', ({ status }) => status.initContainerStatuses !== undefined);
    expect(pod.status.initContainerStatuses?.[0]?.state.waiting).to.deep.equal({
      reason: 'CreateContainerConfigError',
      message: 'restartable init containers (sidecars) are not supported by the local node',
    });
  });

  it('end a Pod after a time: says so and runs it on', async () => {
    await node.create('timeless', { command: ['sleep', '1000'] }, { activeDeadlineSeconds: 1000 });
    await node.podThat('timeless', 'is ready', isReady);
    await node.told('timeless', 'DeadlineIgnored', 'activeDeadlineSeconds is not enforced by the local node');
  });
});
