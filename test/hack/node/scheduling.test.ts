import { expect } from 'chai';
import { until } from '../../support/until.ts';
import { isReady, useLocalNode } from './local-node.ts';

describe('scheduling on the local node', () => {
  const node = useLocalNode();
  const none = { image: 'local/none' };
  const scheduled = async (name: string) =>
    (await node.get(name)).status.conditions?.find(({ type }) => type === 'PodScheduled');

  it('registers a ready node without taints that kubectl can show', async () => {
    const { stdout } = await node.kubectl('get', 'node', 'sojourn-local', '-o', 'json');
    const { metadata, spec, status } = JSON.parse(stdout);
    expect(metadata.labels).to.include({ 'kubernetes.io/hostname': 'sojourn-local', 'kubernetes.io/os': 'linux' });
    expect(spec.taints).to.equal(undefined);
    expect(status.addresses[0]).to.deep.equal({ type: 'InternalIP', address: '127.0.0.1' });
    expect(status.daemonEndpoints.kubeletEndpoint.Port).to.equal(node.node.port);
    expect(status.nodeInfo.kubeletVersion).to.match(/^v1\./);
    expect((await node.kubectl('get', 'nodes')).stdout).to.match(/sojourn-local +Ready/);
  });

  it('says that a Pod is unschedulable when no node has its labels', async () => {
    await node.create('picky', none, { nodeSelector: { gpu: 'yes' } });
    await node.podThat('picky', 'is refused', ({ status }) => status.conditions?.[0]?.status === 'False');
    expect(await scheduled('picky')).to.include({ status: 'False', reason: 'Unschedulable' });
    expect((await scheduled('picky'))?.message).to.match(/^0\/1 nodes are available: 1 node\(s\) didn't match/);
    await until('the Event', async () => (await node.kubectl('get', 'events')).stdout.includes('FailedScheduling'));
  });

  it('says what a Pod asks for more of than the node has', async () => {
    const greedy = {
      ...none,
      resources: {
        requests: { memory: '1Pi', cpu: '10m', 'example.com/gpu': '1' },
        limits: { 'example.com/gpu': '1' },
      },
    };
    await node.create('greedy', greedy);
    await node.podThat('greedy', 'is refused', ({ status }) => status.conditions?.[0]?.status === 'False');
    const condition = await scheduled('greedy');
    expect(condition).to.include({ status: 'False', reason: 'Unschedulable' });
    expect(condition?.message).to.match(
      /^0\/1 nodes are available: (1 Insufficient (memory|example.com\/gpu)(, |\. )){2}/,
    );
    await node.told('greedy', 'FailedScheduling', 'Insufficient memory');
    await node.create('modest', { ...none, resources: { requests: { memory: '1Mi', 'ephemeral-storage': '1Mi' } } });
    await node.podThat('modest', 'is ready', isReady);
  });

  it('takes Pods whose selector and affinity fit', async () => {
    const matchExpressions = [
      { key: 'kubernetes.io/os', operator: 'In', values: ['linux', 'plan9'] },
      { key: 'gpu', operator: 'DoesNotExist' },
    ];
    await node.create('fitting', none, {
      nodeSelector: { 'kubernetes.io/hostname': 'sojourn-local' },
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions }] },
        },
      },
    });
    await node.podThat('fitting', 'is ready', isReady);
  });

  it('leaves Pods alone that are gated or another scheduler’s, until the gate is gone', async () => {
    await node.create('gated', none, { schedulingGates: [{ name: 'example.com/gate' }] });
    await node.create('foreign', none, { schedulerName: 'other' });
    await node.create('after', none);
    await node.podThat('after', 'is ready', isReady);
    expect((await node.get('gated')).spec.nodeName).to.equal(undefined);
    expect((await node.get('foreign')).spec.nodeName).to.equal(undefined);
    await node.kubectl(
      'patch',
      'pod',
      'gated',
      '--type=json',
      '-p',
      '[{"op":"remove","path":"/spec/schedulingGates"}]',
    );
    await node.podThat('gated', 'is ready', isReady);
  });
});
