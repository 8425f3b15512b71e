import { expect } from 'chai';
import { until } from '../../support/until.ts';
import { isReady, useLocalNode } from './local-node.ts';

describe('what the local node cannot do', () => {
  const node = useLocalNode();
  const told = async (name: string, message: string) => {
    const selector = `involvedObject.name=${name},type=Warning`;
    await until(`the Event "${message}"`, async () => {
      return (await node.kubectl('get', 'events', '--field-selector', selector)).stdout.includes(message);
    });
  };

  it('mount a volume: says FailedMount and keeps the Pod waiting', async () => {
    const volumes = [{ name: 'scratch', emptyDir: {} }];
    const container = { command: ['true'], volumeMounts: [{ name: 'scratch', mountPath: '/scratch' }] };
    await node.create('mounting', container, { volumes });
    const pod = await node.podThat('mounting', 'waits', ({ status }) => status.containerStatuses !== undefined);
    expect(pod.status.phase).to.equal('Pending');
    expect(pod.status.containerStatuses?.[0]?.state.waiting?.reason).to.equal('ContainerCreating');
    await told('mounting', 'MountVolume.SetUp failed for volume "scratch" : emptyDir volumes are not supported');
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

  it('run liveness probes and hooks: says so and runs the container without them', async () => {
    const exec = { command: ['false'] };
    const container = { command: ['sleep', '1000'], livenessProbe: { exec }, lifecycle: { preStop: { exec } } };
    await node.create('bare', container);
    await node.podThat('bare', 'is ready', isReady);
    await told('bare', 'Liveness probe is not run by the local node');
    await told('bare', 'PreStopHook is not run by the local node');
  });

  it('give the limits of a container to it as variables: keeps it waiting with the reason', async () => {
    const env = [{ name: 'CPUS', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } }];
    await node.create('limited', { command: ['true'], env });
    const pod = await node.podThat('limited', 'waits', ({ status }) => status.containerStatuses !== undefined);
    expect(pod.status.containerStatuses?.[0]?.state.waiting?.message).to.equal(
      'the local node has no resourceFieldRef for variable CPUS',
    );
  });
});
