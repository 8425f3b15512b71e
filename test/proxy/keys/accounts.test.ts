import { expect } from 'chai';
import type { KubeObject } from '../../../apis/machinery/meta.ts';
import { secrets, systemNamespace } from '../../../apis/names.ts';
import { useCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';

const collection = `/api/v1/namespaces/${systemNamespace}/secrets`;

describe('the accounts of Sojourn’s processes', () => {
  const env = useCluster();

  for (const account of ['sojourn-apiserver', 'sojourn-proxy'] as const) {
    it(`let ${account} follow and change the key Secrets, and no other`, async () => {
      const client = env.asAccount(account);
      for (const name of Object.values(secrets)) {
        const fieldSelector = `metadata.name=${name}`;
        const list = await client.request<{ items: KubeObject[] }>({ path: collection, query: { fieldSelector } });
        expect(list.items, name).to.have.length(1);
        // Fenced by a resourceVersion that is not the present one: allowed, and without any effect.
        const metadata = { ...list.items[0]?.metadata, resourceVersion: '1' };
        const body = { ...list.items[0], apiVersion: 'v1', kind: 'Secret', metadata };
        const update = await client.requestRaw({ method: 'PUT', path: `${collection}/${name}`, body });
        expect(update.status, name).to.equal(409);
        const deletion = await client.requestRaw({ method: 'DELETE', path: `${collection}/${name}` });
        expect(deletion.status, name).to.equal(403);
      }
      for (const path of [collection, `${collection}/another`]) {
        expect((await client.requestRaw({ path })).status, path).to.equal(403);
      }
    });
  }

  it('suffice to rotate every kind of key when an operator asks', async () => {
    for (const name of Object.values(secrets)) {
      const path = `${collection}/${name}`;
      const before = await env.client.request<KubeObject>({ path });
      const { code, stderr } = await env.kubectl([
        ...['annotate', 'secret', name, '-n', systemNamespace],
        'sojourn.dev/rotate=now',
      ]);
      expect(code, stderr).to.equal(0);
      await until(`${name} to have been rotated`, async () => {
        const { metadata } = await env.client.request<KubeObject>({ path });
        const asked = metadata.annotations?.['sojourn.dev/rotate'] !== undefined;
        return metadata.resourceVersion !== before.metadata.resourceVersion && !asked;
      });
    }
  });
});
