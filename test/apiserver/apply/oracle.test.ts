import { expect } from 'chai';
import { sample } from 'fast-check';
import { loadClusterConfig } from '../../../apis/client/kubeconfig.ts';
import type { KubeClient } from '../../../apis/client/transport.ts';
import { useCluster } from '../../support/cluster.ts';
import { useTwin } from '../differential/support/twin.ts';
import { Wire } from '../differential/support/wire.ts';
import { differencesAfter } from './support/replay.ts';
import { ownerNames, type Write, writes } from './support/writes.ts';

/** Milliseconds in which sequences are begun; more seeds are tried by hand with ORACLE_RUNS and ORACLE_SEED. */
const budgetMs = 15_000;
/** Sequences that are under way at once. */
const parallel = 8;

describe('ownership of fields', () => {
  const env = useCluster();
  useTwin(env);
  const space = env.namespace('oracle');
  let wire: Wire | undefined;
  let owners: Record<string, string> = {};
  before(async () => {
    owners = await createOwners(env.client, space.name);
    wire = new Wire(await loadClusterConfig(env.cluster.plane.kubeconfigs.admin));
  });
  after(async () => await wire?.close());

  it('is that of a custom resource after any sequence of writes', async function () {
    const most = Number(process.env.ORACLE_RUNS ?? 0);
    const seed = Number(process.env.ORACLE_SEED ?? Date.now() % 2 ** 31);
    this.timeout(most > 0 ? 3_600_000 : budgetMs * 5);
    const open = wire;
    if (open === undefined) throw new Error('there is no connection');
    const sequences = sample(writes, { seed, numRuns: most > 0 ? most : 2_000 });
    const end = Date.now() + (most > 0 ? 3_600_000 : budgetMs);
    let tried = 0;
    let attempts = 0;
    const differencesOf = async (sequence: readonly Write[]) => {
      attempts += 1;
      return await differencesAfter(open, sequence, { namespace: space.name, name: `o-${attempts}`, owners });
    };
    const failures: string[] = [];
    const next = async (): Promise<void> => {
      // A slow machine tries a few all the same.
      while ((Date.now() < end || tried <= parallel) && failures.length === 0) {
        const sequence = sequences[tried];
        if (sequence === undefined) return;
        tried += 1;
        const differences = await differencesOf(sequence);
        if (differences.length === 0) continue;
        const smallest = await smallestFailure(sequence, differencesOf);
        failures.push(
          `sequence ${tried} of seed ${seed}:\n${smallest.differences.join('\n')}\nafter ${JSON.stringify(smallest.writes)}`,
        );
      }
    };
    await Promise.all(Array.from({ length: parallel }, next));
    process.stdout.write(`      seed ${seed}: ${tried} sequences\n`);
    expect(failures.join('\n')).to.equal('');
    expect(tried).to.be.greaterThan(parallel);
  });
});

/** A failing sequence without the writes that it fails without. */
async function smallestFailure(
  writes: readonly Write[],
  differencesOf: (writes: readonly Write[]) => Promise<string[]>,
): Promise<{ writes: readonly Write[]; differences: string[] }> {
  let smallest = { writes, differences: await differencesOf(writes) };
  for (let index = writes.length - 1; index >= 0; index -= 1) {
    const fewer = smallest.writes.toSpliced(index, 1);
    const differences = await differencesOf(fewer);
    if (differences.length > 0) smallest = { writes: fewer, differences };
  }
  return smallest;
}

/** Owners that are there, because the garbage collector would delete what has others. Their uids by name. */
async function createOwners(client: KubeClient, namespace: string): Promise<Record<string, string>> {
  const owners: Record<string, string> = {};
  for (const name of ownerNames) {
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } };
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const made = await client.request<{ metadata: { uid: string } }>({ method: 'POST', path, body });
    owners[name] = made.metadata.uid;
  }
  return owners;
}
