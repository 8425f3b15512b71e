import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createLog } from '../../../apis/runtime/log.ts';
import { localImages } from '../../../hack/cluster/node/images.ts';
import { type LocalNode, startNode } from '../../../hack/cluster/node/node.ts';
import { useControlPlane, useNamespace } from '../../support/control-plane.ts';
import { until } from '../../support/until.ts';
import type { StoredPod } from './local-node.ts';
import { isAlive, pidsIn } from './processes.ts';

/** The network between a node and kube-apiserver, which can be cut and mended. */
class Wire {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #cut = false;

  constructor(target: URL) {
    this.#server = createServer((near) => {
      if (this.#cut) {
        near.destroy();
        return;
      }
      const far = connect(Number(target.port), target.hostname);
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(one);
        one.on('error', () => other.destroy());
        one.on('close', () => {
          this.#sockets.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
  }

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    if (typeof address !== 'object' || address === null) throw new Error('the wire has no port');
    return `https://127.0.0.1:${address.port}`;
  }

  cut(): void {
    this.#cut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#cut = false;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

describe('the local node while kube-apiserver cannot be reached', () => {
  const plane = useControlPlane();
  const namespace = useNamespace(plane);
  let dir: string;
  let wire: Wire;
  let node: LocalNode;
  const path = (name: string) => `/api/v1/namespaces/${namespace.name}/pods/${name}`;
  const get = async (name: string) => await plane.client.request<StoredPod>({ path: path(name) });
  const create = async (name: string, script: string) => {
    const container = { name: 'main', image: 'local/process', command: ['/bin/sh', '-c', script] };
    const spec = { containers: [container], restartPolicy: 'Never' };
    const body = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec };
    await plane.client.request({ method: 'POST', path: path('').slice(0, -1), body });
  };
  const phase = async (name: string, wanted: string) =>
    await until(`Pod ${name} to be ${wanted}`, async () => (await get(name)).status.phase === wanted);

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sojourn-node-'));
    const cluster = await plane.clusterConfig('node');
    wire = new Wire(new URL(cluster.server));
    node = await startNode({
      cluster: { ...cluster, server: await wire.open() },
      dir,
      serving: await plane.servingCerts(),
      images: localImages({ daemon: ['true'] }),
      log: createLog({ write: () => undefined }),
    });
  });

  after(async () => {
    await node?.stop();
    await wire?.close();
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  });

  it('runs on, and tells an exit that nobody could be told of when it comes back', async () => {
    await create('ending', 'echo $$$$ > pids; while [ ! -e go ]; do sleep 0.02; done; exit 9');
    await create('deleted', 'sleep 1000');
    await phase('ending', 'Running');
    await phase('deleted', 'Running');
    const { uid } = (await get('ending')).metadata;
    wire.cut();
    await plane.client.request({ method: 'DELETE', path: path('deleted'), query: { gracePeriodSeconds: '1' } });
    await create('waiting', 'exit 0');
    const [pid = 0] = await pidsIn(join(dir, 'pods', uid, 'main', 'home', 'workspace', 'pids'));
    await writeFile(join(dir, 'pods', uid, 'main', 'home', 'workspace', 'go'), '');
    await until('the process to end', async () => !(await isAlive(pid)));
    expect((await get('ending')).status.phase, 'as far as anybody knows').to.equal('Running');
    wire.mend();
    await phase('ending', 'Failed');
    expect((await get('ending')).status.containerStatuses?.[0]?.state.terminated?.exitCode).to.equal(9);
    await phase('waiting', 'Succeeded');
    await until('the deleted Pod to be gone', async () => {
      return (await plane.client.requestRaw({ path: path('deleted') })).status === 404;
    });
  });
});
