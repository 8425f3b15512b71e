import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from 'chai';
import { programCommand } from '../../hack/cluster/programs.ts';
import { Relay } from '../../hack/cluster/relay.ts';
import { useCluster } from '../support/cluster.ts';
import { until } from '../support/until.ts';
import { type DirectApiserver, directApiserver } from './pools/support/replicas.ts';

const aggregated = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** Everything that kube-apiserver fetches by itself, and clients through it. */
const documents: [path: string, accept: string | undefined][] = [
  ['/apis', aggregated],
  ['/apis', 'application/json'],
  ['/apis', undefined],
  ['/apis/sojourn.dev', 'application/json'],
  ['/apis/sojourn.dev/v1alpha1', undefined],
  ['/openapi/v2', 'application/json'],
  ['/openapi/v3', undefined],
  ['/openapi/v3/apis/sojourn.dev/v1alpha1', 'application/json'],
];

/** The two identities with which kube-apiserver comes, neither of which may do anything. */
const aggregators = ['system:aggregator', 'system:kube-aggregator'];

interface Fetched {
  status: number;
  etag: unknown;
  type: unknown;
  body: string;
}

describe('discovery and OpenAPI', () => {
  const env = useCluster();
  const stops: (() => Promise<unknown> | unknown)[] = [];
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });

  async function direct(port: number): Promise<DirectApiserver> {
    const server = await directApiserver(env, port);
    stops.push(() => server.client.close());
    return server;
  }

  async function replica(flags: readonly string[] = []): Promise<DirectApiserver & { port: number }> {
    const started = await env.cluster.sojourn.startApiserverReplica('sojourn-apiserver-d', flags);
    stops.push(() => started.process.stop());
    return { ...(await direct(started.port)), port: started.port };
  }

  /** All documents, each asked for within a second. */
  async function fetchAll({ client }: DirectApiserver): Promise<Fetched[]> {
    const all = aggregators.flatMap((user) => documents.map(([path, accept]) => ({ user, path, accept })));
    return await Promise.all(
      all.map(async ({ user, path, accept }) => {
        const headers = { 'x-remote-user': user };
        const request = { path, headers, timeoutMs: 1000, ...(accept === undefined ? {} : { accept }) };
        let failure: unknown;
        // A busy machine may hold up one of them, but not the same one again and again.
        const answer = await until(
          `${path} to be answered within a second`,
          () =>
            client.requestRaw(request).catch((error: unknown) => {
              failure = error;
              return undefined;
            }),
          { seen: () => String(failure) },
        );
        const { etag, 'content-type': type } = answer.headers;
        return { status: answer.status, etag, type, body: answer.body.toString('utf8') };
      }),
    );
  }

  /** A kubeconfig of the API server's account that leads over a relay. */
  async function relayed(): Promise<{ relay: Relay; kubeconfig: string }> {
    const { plane } = env.cluster;
    const relay = await Relay.open(plane.ports.kubeApiserver);
    stops.push(() => relay.stop());
    const own = await readFile(join(plane.dir, 'components', 'sojourn-apiserver.kubeconfig'), 'utf8');
    const kubeconfig = join(plane.dir, 'components', 'relayed-apiserver.kubeconfig');
    await writeFile(kubeconfig, own.replaceAll(plane.server, `https://127.0.0.1:${relay.port}`));
    return { relay, kubeconfig };
  }

  /** Starts one that need not become ready, and tells its port. */
  async function unreadyReplica(kubeconfig: string): Promise<number> {
    const { cert, key } = env.cluster.plane.pki.sojournApiserver;
    const [file, ...args] = programCommand('apiserver');
    const child = spawn(file, [
      ...args,
      ...['--kubeconfig', kubeconfig, '--tls-cert-file', cert, '--tls-private-key-file', key],
      ...['--listen-address', '127.0.0.1', '--listen-port', '0'],
      ...['--operations-address', '127.0.0.1', '--operations-port', '0'],
      ...['--audit-log-path', join(env.cluster.plane.dir, 'logs', 'discovery-audit.log')],
      ...['--shutdown-delay-duration', '0s'],
    ]);
    const exited = once(child, 'exit');
    stops.push(async () => {
      child.kill('SIGKILL');
      await exited;
    });
    child.stderr.resume();
    const lines = createInterface(child.stdout);
    return await new Promise((resolve, reject) => {
      lines.on('line', (line) => {
        const { message, port } = JSON.parse(line) as { message: string; port?: number };
        if (message === 'serving' && port !== undefined) resolve(port);
      });
      lines.once('close', () => reject(new Error('the API server ended before it served')));
    });
  }

  it('answer kube-apiserver, who has no groups there, with the same bytes from every replica and after a restart', async () => {
    const first = await fetchAll(await direct(env.cluster.sojourn.ports.sojournApiserver));
    expect(first.map(({ status }) => status)).to.deep.equal(first.map(() => 200));
    expect(first[0]?.type).to.equal(aggregated);
    expect(first[1]?.type).to.equal('application/json');
    for (let start = 0; start < 2; start += 1) {
      expect(await fetchAll(await replica())).to.deep.equal(first);
      for (const stop of stops.splice(1).reverse()) await stop();
    }
  }).timeout(120_000);

  it('say that nothing has changed, once they are known', async () => {
    const { client, headers } = await direct(env.cluster.sojourn.ports.sojournApiserver);
    const tagged = documents.filter(([path, accept]) => path.startsWith('/openapi') || accept === aggregated);
    for (const [path, accept = 'application/json'] of tagged) {
      const { headers: known } = await client.requestRaw({ path, accept, headers });
      const etag = String(known.etag);
      expect(etag).to.match(/^"[0-9A-F]{128}"$/);
      const again = await client.requestRaw({ path, accept, headers: { ...headers, 'if-none-match': etag } });
      expect([path, again.status, again.body.length, again.headers.etag]).to.deep.equal([path, 304, 0, etag]);
      const old = await client.requestRaw({ path, accept, headers: { ...headers, 'if-none-match': '"old"' } });
      expect(old.status).to.equal(200);
    }
  });

  it('never redirect, whatever hash a client still has', async () => {
    const { client, headers } = await direct(env.cluster.sojourn.ports.sojournApiserver);
    const path = '/openapi/v3/apis/sojourn.dev/v1alpha1';
    const { paths } = await client.request<{ paths: Record<string, { serverRelativeURL: string }> }>({
      path: '/openapi/v3',
      headers,
    });
    const { body, headers: answered } = await client.requestRaw({ path, headers });
    const hash = String(answered.etag).replaceAll('"', '');
    expect(paths).to.deep.equal({ 'apis/sojourn.dev/v1alpha1': { serverRelativeURL: `${path}?hash=${hash}` } });
    const old = await client.requestRaw({ path, query: { hash: 'OLD' }, headers });
    expect([old.status, old.body.equals(body)]).to.deep.equal([200, true]);
  });

  it('answer within a second while kube-apiserver is away, and refuse sessions', async () => {
    const { relay, kubeconfig } = await relayed();
    const server = await replica(['--kubeconfig', kubeconfig]);
    const before = await fetchAll(server);
    relay.cut();
    for (let round = 0; round < 3; round += 1) expect(await fetchAll(server)).to.deep.equal(before);
    const path = '/apis/sojourn.dev/v1alpha1/namespaces/default/sessions';
    const refused = await server.client.requestRaw({ path, headers: server.headers, timeoutMs: 20_000 });
    expect(refused.status).to.equal(503);
  }).timeout(120_000);

  it('answer within a second while etcd hangs', async () => {
    const etcd = env.cluster.plane.processes.find(({ name }) => name === 'etcd');
    if (etcd === undefined) throw new Error('etcd does not run');
    const server = await direct(env.cluster.sojourn.ports.sojournApiserver);
    const before = await fetchAll(server);
    process.kill(etcd.pid, 'SIGSTOP');
    stops.push(() => process.kill(etcd.pid, 'SIGCONT'));
    for (let round = 0; round < 3; round += 1) expect(await fetchAll(server)).to.deep.equal(before);
  }).timeout(120_000);

  it('answer before anything could be asked of kube-apiserver', async () => {
    const { relay, kubeconfig } = await relayed();
    relay.cut();
    const unsynced = await direct(await unreadyReplica(kubeconfig));
    const known = await fetchAll(await direct(env.cluster.sojourn.ports.sojournApiserver));
    expect(await fetchAll(unsynced)).to.deep.equal(known);
    const path = '/apis/sojourn.dev/v1alpha1/sessions';
    const refused = await unsynced.client.requestRaw({ path, headers: unsynced.headers });
    expect(refused.status).to.be.oneOf([401, 503]);
    relay.heal();
    await until('the sessions to be served', async () => {
      const { status } = await unsynced.client.requestRaw({ path, headers: unsynced.headers });
      return status === 200;
    });
  }).timeout(120_000);
});
