import { expect } from 'chai';
import type { KubeObject, OwnerReference } from '../../../../apis/machinery/meta.ts';
import { Collected, collectorMs, hold } from '../../../e2e/support/collected.ts';
import type { TestCluster } from '../../../support/cluster.ts';
import { until } from '../../../support/until.ts';
import { Side, type SideName } from '../support/side.ts';

const sides = ['session', 'twin'] as const;
/** Which of an owner's two dependents the collector deletes first is not ours to say, so there are some owners. */
const rows = [0, 1, 2, 3];

/** ConfigMaps that own a session or a twin, which owns a ConfigMap that is held. */
export function ownersDeletion(env: TestCluster): void {
  const space = env.namespace('owners-deletion');
  const objects = new Collected(env, () => space.name);
  const sideOf = (side: SideName, name: string) => new Side(side, { namespace: space.name, name: `${side}-${name}` });
  const ownersOf = (side: SideName) => rows.map((row) => objects.configMap(`${side}-${row}-owner`));
  const ownedOf = (side: SideName) => rows.map((row) => objects.configMap(`${side}-${row}-owned`));
  const thereOf = async (paths: string[]) => {
    const found = await Promise.all(paths.map((path) => objects.read(path)));
    return found.filter((object) => object !== undefined).length;
  };

  async function create(side: Side, owner: OwnerReference): Promise<KubeObject> {
    const body = side.manifest({ metadata: { ownerReferences: [owner] } });
    return await env.client.request<KubeObject>({ method: 'POST', path: side.collection, body });
  }

  it('an owner that is deleted in the foreground waits for what its twins own, and need not for what its sessions own', async () => {
    for (const name of sides) {
      for (const row of rows) {
        const owner = await objects.createConfigMap(`${name}-${row}-owner`);
        const between = await create(
          sideOf(name, String(row)),
          referenceTo({ apiVersion: 'v1', kind: 'ConfigMap', ...owner }),
        );
        const owned = { ownerReferences: [referenceTo(between)], finalizers: [hold] };
        await objects.createConfigMap(`${name}-${row}-owned`, owned);
      }
    }
    for (const name of sides) {
      const side = sideOf(name, 'heard');
      await objects.heard(side.collection, side.manifest());
    }
    for (const path of sides.flatMap(ownersOf)) await objects.delete(path, 'Foreground');
    for (const path of sides.flatMap(ownedOf)) await objects.terminating(path);
    const isOneGone = async () => (await thereOf(ownersOf('session'))) < rows.length;
    await until('an owner of a session to go', isOneGone, { deadlineMs: collectorMs });
    expect(await thereOf(ownersOf('twin')), 'owners of twins').to.equal(rows.length);
    expect(await thereOf(ownedOf('session')), 'what the sessions own').to.equal(rows.length);
    for (const path of sides.flatMap(ownedOf)) await objects.release(path);
    for (const path of sides.flatMap(ownersOf)) await objects.gone(path);
  }).timeout(300_000);
}

function referenceTo({ apiVersion = '', kind = '', metadata: { name = '', uid = '' } }: KubeObject): OwnerReference {
  return { apiVersion, kind, name, uid, blockOwnerDeletion: true };
}
