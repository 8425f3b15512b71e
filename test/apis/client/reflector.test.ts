import { readFile, rm, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { Informer } from '../../../apis/client/informer.ts';
import { loadClusterConfig } from '../../../apis/client/kubeconfig.ts';
import { KubeClient } from '../../../apis/client/transport.ts';
import type { KubeObject } from '../../../apis/machinery/meta.ts';
import { createLog, type Log } from '../../../apis/runtime/log.ts';
import { Relay } from '../../../hack/cluster/relay.ts';
import { useControlPlane, useNamespace } from '../../support/control-plane.ts';
import { until } from '../../support/until.ts';
import { FaultyProxy } from './support/faulty-proxy.ts';

interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
}

describe('a reflector', () => {
  const plane = useControlPlane();
  const space = useNamespace(plane);
  const path = () => `/api/v1/namespaces/${space.name}/configmaps`;
  const selector = 'test=reflector';
  const stops: (() => Promise<void>)[] = [];
  let logged: string[] = [];
  const log: Log = createLog({ write: (line) => logged.push(line) });
  let proxy: FaultyProxy;

  beforeEach(async () => {
    logged = [];
    proxy = await FaultyProxy.open(plane.client);
    await write('base', 'here');
  });
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
    await proxy.stop();
    await plane.client.request({ method: 'DELETE', path: path(), query: { labelSelector: selector } });
  });

  async function write(name: string, value: string): Promise<void> {
    const metadata = { name, labels: { test: 'reflector' } };
    const create = { method: 'POST', path: path(), body: { metadata, data: { value } } } as const;
    const { status } = await plane.client.requestRaw(create);
    if (status !== 409) return;
    const contentType = 'application/merge-patch+json';
    await plane.client.request({ method: 'PATCH', path: `${path()}/${name}`, contentType, body: { data: { value } } });
  }

  const remove = async (name: string) => {
    await plane.client.request({ method: 'DELETE', path: `${path()}/${name}` });
  };

  function follow(client: KubeClient, options: { silenceLimitMs?: number } = {}): Informer<ConfigMap, string> {
    const informer = new Informer<ConfigMap, string>({
      ...options,
      ...{ client, log, path: path(), labelSelector: selector },
      keep: ({ data }) => data?.value ?? '',
    });
    stops.push(() => informer.stop());
    informer.start();
    return informer;
  }

  async function shows(informer: Informer<ConfigMap, string>, expected: Record<string, string>): Promise<void> {
    const state = () =>
      Object.fromEntries(['base', 'one', 'two', 'three'].map((name) => [name, informer.get(space.name, name)]));
    const wanted = { base: 'here', one: undefined, two: undefined, three: undefined, ...expected };
    await until('the informer to be current', () => JSON.stringify(state()) === JSON.stringify(wanted), {
      seen: state,
    });
  }

  it('begins when kube-apiserver answers at last', async () => {
    proxy.spoil(
      'list',
      { kind: 'status', code: 500 },
      { kind: 'reset', afterLines: 0 },
      { kind: 'truncate', afterLines: 0 },
    );
    const informer = follow(proxy.client);
    await shows(informer, {});
    expect(proxy.isSpent).to.equal(true);
  });

  it('goes on after errors, resets and half lines from where it was, without another list', async () => {
    const informer = follow(proxy.client);
    await shows(informer, {});
    const { list } = proxy.requests;
    proxy.spoil(
      'watch',
      { kind: 'status', code: 503 },
      { kind: 'truncate', afterLines: 0 },
      { kind: 'reset', afterLines: 1 },
      { kind: 'truncate', afterLines: 1 },
    );
    proxy.cut();
    for (let turn = 0; !proxy.isSpent; turn += 1) await write('one', String(turn));
    await write('one', 'last');
    await write('two', 'there');
    await shows(informer, { one: 'last', two: 'there' });
    expect(proxy.requests.list).to.equal(list);
  });

  for (const fault of [{ kind: 'expired' }, { kind: 'status', code: 410 }] as const) {
    it(`lists again when its version is gone (${fault.kind}), and tells what went away meanwhile`, async () => {
      await write('one', 'there');
      const informer = follow(proxy.client);
      await shows(informer, { one: 'there' });
      const gone: string[] = [];
      informer.subscribe(({ current }, key) => current === undefined && gone.push(key));
      const { list } = proxy.requests;
      // Nothing is seen of the deletion: the watch is silent, and then its version is gone.
      proxy.spoil('watch', { kind: 'status', code: 503 }, fault);
      proxy.cut();
      await remove('one');
      await write('two', 'there');
      await shows(informer, { two: 'there' });
      expect(gone).to.deep.equal([`${space.name}/one`]);
      expect(proxy.requests.list).to.equal(list + 1);
    });
  }

  it('gives up a connection on which nothing comes any more', async () => {
    proxy.spoil('watch', { kind: 'silence', afterLines: 0 });
    const informer = follow(proxy.client, { silenceLimitMs: 1_500 });
    await until('the silent watch', () => proxy.isSpent);
    await write('one', 'there');
    await shows(informer, { one: 'there' });
  });

  it('goes on when a listener throws: the others hear everything, and it is logged once', async () => {
    const before = proxy.requests.watch;
    const informer = follow(proxy.client);
    await shows(informer, {});
    await until('the watch to be begun', () => proxy.requests.watch > before);
    const heard: string[] = [];
    informer.subscribe(() => {
      throw new Error('listener is broken');
    });
    informer.subscribe((_change, key) => heard.push(key));
    const { watch } = proxy.requests;
    await write('one', 'a');
    await write('one', 'b');
    await shows(informer, { one: 'b' });
    expect(heard).to.deep.equal([`${space.name}/one`, `${space.name}/one`]);
    expect(logged.filter((line) => line.includes('listener is broken'))).to.have.length(1);
    expect(proxy.requests.watch, 'watches').to.equal(watch);
  });

  it('leaves out what cannot be read, and goes on', async () => {
    await write('two', 'unreadable');
    const informer = new Informer<ConfigMap, string>({
      ...{ client: proxy.client, log, path: path(), labelSelector: selector },
      keep: ({ data }) => {
        if (data?.value === 'unreadable') throw new Error('cannot read this');
        return data?.value ?? '';
      },
    });
    stops.push(() => informer.stop());
    informer.start();
    await shows(informer, {});
    await write('three', 'unreadable');
    await write('one', 'there');
    await shows(informer, { one: 'there' });
    expect(logged.filter((line) => line.includes('cannot read this'))).to.have.length(2);
    expect(proxy.requests).to.deep.equal({ list: 1, watch: 1 });
  });

  it('survives that kube-apiserver goes away and comes back', async () => {
    const { controlPlane } = plane;
    const relay = await Relay.open(controlPlane.ports.kubeApiserver);
    stops.push(() => relay.stop());
    const kubeconfig = `${controlPlane.kubeconfigs.admin}-relayed`;
    const own = await readFile(controlPlane.kubeconfigs.admin, 'utf8');
    await writeFile(kubeconfig, own.replaceAll(controlPlane.server, `https://127.0.0.1:${relay.port}`));
    stops.push(() => rm(kubeconfig));
    const client = new KubeClient(await loadClusterConfig(kubeconfig));
    stops.push(() => client.close());
    const informer = follow(client);
    await shows(informer, {});
    relay.cut();
    await write('one', 'there');
    await remove('base');
    await until('a failed attempt', () => logged.some((line) => line.includes('trying again')));
    relay.heal();
    await until(
      'both changes',
      () => informer.get(space.name, 'base') === undefined && informer.get(space.name, 'one') === 'there',
    );
  });
});
