import { expect } from 'chai';
import { Informer } from '../../../apis/client/informer.ts';
import { createLog } from '../../../apis/runtime/log.ts';
import type { Pod } from '../../../hack/cluster/node/api/pod.ts';
import { until } from '../../support/until.ts';
import { useLocalNode } from './local-node.ts';

const count = 100;
const deadlineMs = 60_000;

describe('many Pods at once on the local node', () => {
  const node = useLocalNode();

  it('are all ready with addresses of their own, and all go', async function () {
    this.timeout(4 * deadlineMs);
    const addresses = new Map<string, string>();
    const pods = new Informer<Pod>({
      client: node.plane.client,
      path: `/api/v1/namespaces/${node.namespace}/pods`,
      keep: (pod) => pod,
      onChange: ({ current }) => {
        const ready = current?.status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
        if (ready) addresses.set(current?.metadata.name ?? '', current?.status?.podIP ?? '');
      },
      log: createLog({ level: 'error' }),
    });
    pods.start();
    await pods.firstSync;
    const names = Array.from({ length: count }, (_, index) => `one-of-many-${index}`);
    await Promise.all(names.map((name) => node.create(name, { image: 'local/none' })));
    await until('all to be ready', () => addresses.size === count, { deadlineMs, seen: () => addresses.size });
    expect(new Set(addresses.values()).size).to.equal(count);
    await node.kubectl('delete', 'pods', '--all', '--wait=false');
    const left = () => [...pods.values()].length;
    await until('all to be gone', () => left() === 0, { deadlineMs, seen: left });
    await pods.stop();
  });
});
