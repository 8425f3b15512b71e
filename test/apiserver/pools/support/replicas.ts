import { readFile } from 'node:fs/promises';
import { KubeClient } from '../../../../apis/client/transport.ts';
import type { SupervisedProcess } from '../../../../hack/cluster/process.ts';
import type { TestCluster } from '../../../support/cluster.ts';

/** An API server that is spoken to as kube-apiserver does, so that a test chooses which of several answers. */
export interface DirectApiserver {
  client: KubeClient;
  /** Headers that introduce the admin. */
  headers: Record<string, string>;
}

/** Of one that listens on a port of this machine; its client is closed by whoever asks. */
export async function directApiserver(env: TestCluster, port: number): Promise<DirectApiserver> {
  const { cert, key } = env.cluster.plane.pki.frontProxyClient;
  const credentials = { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') };
  return {
    client: new KubeClient({ server: `https://localhost:${port}`, ca: env.ca, ...credentials }),
    headers: { 'x-remote-user': 'admin', 'x-remote-group': 'system:masters' },
  };
}

/** Gives a suite two API servers: the cluster's own and one more. Call it inside of the suite, after its cluster. */
export function useTwoApiservers(env: TestCluster): { readonly both: readonly [DirectApiserver, DirectApiserver] } {
  let both: [DirectApiserver, DirectApiserver] | undefined;
  let second: SupervisedProcess | undefined;
  before(async function () {
    this.timeout(60_000);
    const replica = await env.cluster.sojourn.startApiserverReplica('sojourn-apiserver-b');
    second = replica.process;
    both = [
      await directApiserver(env, env.cluster.sojourn.ports.sojournApiserver),
      await directApiserver(env, replica.port),
    ];
  });
  after(async () => {
    await Promise.all((both ?? []).map(({ client }) => client.close()));
    await second?.stop();
  });
  return {
    get both() {
      if (both === undefined) throw new Error('the API servers are there from the before hooks on');
      return both;
    },
  };
}
