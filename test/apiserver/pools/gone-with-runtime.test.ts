import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { KubeClient } from '../../../apis/client/transport.ts';
import { poolApi } from '../../../apis/names.ts';
import { createLog } from '../../../apis/runtime/log.ts';
import { desiredPool, newWarmPool, type SandboxWarmPool } from '../../../apis/v1alpha1/pool-template.ts';
import { PoolKeeper } from '../../../apiserver/pools/pool-keeper.ts';
import { runtimesPath } from '../../../hack/cluster/runtimes.ts';
import { anchors, runtime as sample } from '../../apis/v1alpha1/samples.ts';
import { until } from '../../support/until.ts';

const dated = { ...anchors, rootKeySince: 0, picodKeySince: 0 };
const names = ['stays', 'goes'] as const;
const runtimeOf = (name: string) => ({ ...sample, name, uid: `uid-${name}`, warmPoolSize: 1 });

function stored(name: string): object {
  const { uid, generation, podTemplate } = runtimeOf(name);
  const metadata = { namespace: sample.namespace, name, uid, generation, resourceVersion: '1' };
  return { metadata, spec: { template: podTemplate.spec.containers?.[0], warmPoolSize: 1 } };
}

function poolOf(name: string): SandboxWarmPool {
  const runtime = runtimeOf(name);
  const pool = newWarmPool(runtime, desiredPool(runtime, dated));
  return { ...pool, metadata: { ...pool.metadata, uid: `pool-of-${name}`, resourceVersion: '1' } };
}

/** A kube-apiserver with two runtimes, of which one is gone, and whose watch of runtimes tells nothing. */
class Silent {
  /** Runtimes that were read. */
  readonly read: string[] = [];
  /** Messages of Events that were written. */
  readonly told: string[] = [];
  readonly #server: Server;
  #watchOfPools: ServerResponse | undefined;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(): Promise<Silent> {
    const server = createServer();
    const silent = new Silent(server);
    server.on('request', (request, response) => void silent.#serve(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return silent;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get isWatched(): boolean {
    return this.#watchOfPools !== undefined;
  }

  poolGoes(name: string): void {
    this.#watchOfPools?.write(`${JSON.stringify({ type: 'DELETED', object: poolOf(name) })}\n`);
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.url);
    const isPools = pathname.endsWith(`/${poolApi.pool.resource}`);
    if (searchParams.get('watch') === 'true') {
      response.writeHead(200).flushHeaders();
      if (isPools) this.#watchOfPools = response;
      return;
    }
    if (request.method === 'POST') {
      const chunks = await request.toArray();
      this.told.push((JSON.parse(Buffer.concat(chunks).toString()) as { message: string }).message);
      response.writeHead(201).end('{}');
      return;
    }
    const prefix = `${runtimesPath(sample.namespace)}/`;
    if (pathname.startsWith(prefix)) {
      const name = pathname.slice(prefix.length);
      this.read.push(name);
      if (name === 'stays') response.writeHead(200).end(JSON.stringify(stored(name)));
      else
        response
          .writeHead(404)
          .end(JSON.stringify({ kind: 'Status', status: 'Failure', code: 404, reason: 'NotFound' }));
      return;
    }
    const runtimes = pathname.endsWith('/codeinterpreters') ? names.map(stored) : [];
    const items = isPools ? names.map(poolOf) : runtimes;
    response.writeHead(200).end(JSON.stringify({ metadata: { resourceVersion: '1' }, items }));
  }
}

describe('a pool that is gone', () => {
  it('went with its runtime when that is gone, although the watch of runtimes has not told of it yet', async () => {
    const server = await Silent.open();
    const client = new KubeClient({ server: server.url });
    const keeper = new PoolKeeper({
      client,
      log: createLog({ level: 'error' }),
      now: Date.now,
      keys: { loaded: false, trustAnchors: () => dated, onAnchorsChange: () => undefined },
      desiredPool,
      troubleOf: () => undefined,
    });
    keeper.start();
    try {
      await until('the lists', () => keeper.runtimes.synced && keeper.pools.synced && server.isWatched);
      server.poolGoes('stays');
      await until('a look at the runtime that stays', () => server.read.includes('stays'));
      server.poolGoes('goes');
      await until('the Event', () => server.told.length > 0);
      expect(server.told).to.deep.equal([`deleted warm pool ${poolOf('goes').metadata.name} with its runtime`]);
      expect(server.read).to.deep.equal(names);
    } finally {
      await keeper.stop();
      await client.close();
      server.stop();
    }
  });
});
