import { expect } from 'chai';
import { Informer } from '../../../apis/client/informer.ts';
import { daemonImage } from '../../../apis/names.ts';
import { createLog } from '../../../apis/runtime/log.ts';
import type { Pod } from '../../../hack/cluster/node/api/pod.ts';
import { until } from '../../support/until.ts';
import { isReady, shell, useLocalNode } from './local-node.ts';

describe('images of the local node', () => {
  const node = useLocalNode();
  const waitingReason = async (name: string, reason: string) =>
    await node.podThat(
      name,
      `says ${reason}`,
      ({ status }) => status.containerStatuses?.[0]?.state.waiting?.reason === reason,
    );

  it('that do not exist end in ErrImagePull and ImagePullBackOff, as on a real node', async () => {
    await node.create('unknown', { image: 'docker.io/library/nginx:1.29' });
    const pod = await waitingReason('unknown', 'ErrImagePull');
    expect(pod.status.phase).to.equal('Pending');
    const backOff = await waitingReason('unknown', 'ImagePullBackOff');
    expect(backOff.status.containerStatuses?.[0]?.state.waiting?.message).to.match(
      /^Back-off pulling image "docker.io\/library\/nginx:1.29": ErrImagePull: /,
    );
    await node.told('unknown', 'Failed', 'Failed to pull image "docker.io/library/nginx:1.29"');
  });

  it('can be put right while they are backed off', async () => {
    await node.create('mended', { command: ['sleep', '1000'], image: 'nowhere/nothing' });
    await waitingReason('mended', 'ImagePullBackOff');
    const patch = '{"spec":{"containers":[{"name":"main","image":"local/process"}]}}';
    await node.kubectl('patch', 'pod', 'mended', '-p', patch);
    await node.podThat('mended', 'is ready', isReady);
  });

  it('with a name that is none end in InvalidImageName', async () => {
    await node.create('misnamed', { image: 'ghcr.io/Sojourn/Daemon' });
    const pod = await waitingReason('misnamed', 'InvalidImageName');
    expect(pod.status.containerStatuses?.[0]?.state.waiting?.message).to.equal(
      'Failed to apply default image tag "ghcr.io/Sojourn/Daemon": couldn\'t parse image name ' +
        '"ghcr.io/Sojourn/Daemon": invalid reference format: repository name (ghcr.io/Sojourn/Daemon) must be lowercase',
    );
    await node.told('misnamed', 'InspectFailed', 'invalid reference format');
    await node.told('misnamed', 'Failed', 'Error: InvalidImageName');
  });

  it('that may not be pulled end in ErrImageNeverPull', async () => {
    await node.create('local', { image: 'nowhere/nothing', imagePullPolicy: 'Never' });
    await waitingReason('local', 'ErrImageNeverPull');
  });

  it('are found by repository, whatever the tag or digest', async () => {
    const images = [daemonImage, `${daemonImage}:v1`, `${daemonImage}@sha256:${'0'.repeat(64)}`];
    for (const [index, image] of images.entries()) await node.create(`daemon-${index}`, { image });
    for (const index of images.keys()) await node.podThat(`daemon-${index}`, 'is ready', isReady);
    await node.create('impostor', { image: `${daemonImage}-other` });
    await waitingReason('impostor', 'ErrImagePull');
  });

  it('of the daemon are told their workspace, unless the container says another', async () => {
    const say = 'console.log(process.env.SOJOURN_WORKSPACE, process.cwd())';
    const container = { image: daemonImage, command: [process.execPath, '-e', say] };
    await node.create('told', container, { restartPolicy: 'Never' });
    const env = [{ name: 'SOJOURN_WORKSPACE', value: '/elsewhere' }];
    await node.create('overridden', { ...container, env }, { restartPolicy: 'Never' });
    for (const name of ['told', 'overridden']) {
      await node.podThat(name, 'has ended', ({ status }) => status.phase === 'Succeeded');
    }
    const [workspace, directory] = (await node.kubectl('logs', 'told')).stdout.trim().split(' ');
    expect(workspace).to.equal(directory);
    expect((await node.kubectl('logs', 'overridden')).stdout).to.match(/^\/elsewhere /);
  });

  it('local/none make a Pod ready without a process, by two writes and without Events', async () => {
    const versions = new Set<string | undefined>();
    const watch = new Informer<Pod>({
      client: node.plane.client,
      path: `/api/v1/namespaces/${node.namespace}/pods`,
      fieldSelector: 'metadata.name=none',
      keep: (pod) => pod,
      onChange: ({ current }) => versions.add(current?.metadata.resourceVersion),
      log: createLog({ level: 'error' }),
    });
    watch.start();
    await watch.firstSync;
    await node.create('none', { image: 'local/none', readinessProbe: { exec: { command: ['false'] } } });
    const pod = await node.podThat('none', 'is ready', isReady);
    expect(pod.status.podIP).to.match(/^127\./);
    await until('the watch to see it', () => versions.has(pod.metadata.resourceVersion));
    await watch.stop();
    expect([...versions], 'created, bound, ready').to.have.length(3);
    expect((await node.kubectl('logs', 'none')).stdout).to.equal('');
    const events = await node.kubectl('get', 'events', '--field-selector', 'involvedObject.name=none', '-o', 'name');
    expect(events.stdout).to.equal('');
    await node.kubectl('delete', 'pod', 'none');
    await node.gone('none');
  });

  it('without a command of their own need one', async () => {
    await node.create('idle', {});
    const pod = await waitingReason('idle', 'CreateContainerConfigError');
    expect(pod.status.containerStatuses?.[0]?.state.waiting?.message).to.contain('no command specified');
  });

  it('start beside one that does not exist', async () => {
    const containers = [
      { name: 'main', image: 'local/process', ...shell('sleep 1000') },
      { name: 'other', image: 'nowhere/nothing' },
    ];
    await node.create('mixed', {}, { containers });
    const pod = await node.podThat('mixed', 'is half there', ({ status }) => status.containerStatuses?.[0]?.ready);
    expect(pod.status.phase).to.equal('Pending');
    expect(pod.status.conditions?.find(({ type }) => type === 'Ready')?.message).to.equal(
      'containers with unready status: [other]',
    );
  });
});
