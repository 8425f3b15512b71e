import { setTimeout as delay } from 'node:timers/promises';
import type { KubeResponse } from '../../../apis/client/transport.ts';
import { groupVersion, kind } from '../../../apis/names.ts';
import { countKey, type ResourceQuota } from '../../../apiserver/quota/session-quota.ts';
import type { DirectApiserver } from '../../apiserver/pools/support/replicas.ts';
import { sessionsPath } from '../../support/caller.ts';
import type { TestCluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';

/** kube-controller-manager learns of a resource within half a minute, or a whole one. */
const countedMs = 120_000;

/** Name of a quota that is there for a moment. */
const probe = 'probe';

/** The ResourceQuotas of one namespace, and its sessions as far as they are counted. */
export class Quotas {
  readonly #env: TestCluster;
  readonly #namespace: () => string;

  constructor(env: TestCluster, namespace: () => string) {
    this.#env = env;
    this.#namespace = namespace;
  }

  /** Waits until kube-controller-manager counts what the keys name: a quota that is older than that is seen to every five minutes. */
  async counting(name: string, keys: readonly string[]): Promise<void> {
    let limit = 101;
    const put = async () => await this.#put(name, Object.fromEntries(keys.map((key) => [key, String(limit)])));
    await put();
    const isCounted = async () => {
      const { status } = await this.read(name);
      if (keys.every((key) => status?.used?.[key] !== undefined)) return true;
      if (status?.hard?.[keys[0] ?? ''] !== String(limit)) return false;
      limit += 1;
      await put();
      // Changes one after the other meet in conflicts, after which it waits ever longer.
      await delay(1_000);
      return false;
    };
    await until('sessions to be counted', isCounted, { deadlineMs: countedMs });
  }

  /** Creates a quota, or changes it, and waits until it holds, and until the API server has seen it, or each of several. */
  async limit(name: string, hard: Record<string, string>, servers?: readonly DirectApiserver[]): Promise<void> {
    await this.#hold(name, hard);
    // Quotas are followed by a watch, here as in kube-apiserver, which shows them in their order: one that comes last, and allows
    // nothing, tells that all before it are there.
    await this.#hold(probe, { [countKey]: '0' });
    for (const server of servers ?? [this.#aggregated]) {
      const isRefused = async () => {
        const { body } = await this.create({ generateName: `${probe}-` }, { dryRun: 'All' }, server);
        return [probe, name].some((each) => body.includes(`exceeded quota: ${each},`));
      };
      await until('the API server to see the quotas', isRefused);
    }
    await this.lift(probe);
  }

  async #hold(name: string, hard: Record<string, string>): Promise<void> {
    await this.#put(name, hard);
    await until(
      `quota ${name} to hold`,
      async () => {
        const { status } = await this.read(name);
        return Object.entries(hard).every(
          ([key, value]) => status?.hard?.[key] === value && status.used?.[key] !== undefined,
        );
      },
      { deadlineMs: countedMs },
    );
  }

  async read(name: string): Promise<ResourceQuota> {
    return await this.#env.client.request<ResourceQuota>({ path: this.#path(name) });
  }

  async lift(name: string): Promise<void> {
    await this.#env.client.request({ method: 'DELETE', path: this.#path(name) });
  }

  async used(name: string): Promise<string | undefined> {
    return (await this.read(name)).status?.used?.[countKey];
  }

  async counted(name: string, used: string): Promise<void> {
    let seen: string | undefined;
    await until(
      `quota ${name} to count ${used} sessions`,
      async () => {
        seen = await this.used(name);
        return seen === used;
      },
      { deadlineMs: countedMs, seen: () => seen },
    );
  }

  async create(
    metadata: object,
    query: Record<string, string> = {},
    { client, headers } = this.#aggregated,
  ): Promise<KubeResponse> {
    return await client.requestRaw({
      method: 'POST',
      path: sessionsPath(this.#namespace()),
      query,
      headers,
      body: heldSession(metadata),
    });
  }

  async deleteAll(): Promise<void> {
    await this.#env.client.request({ method: 'DELETE', path: sessionsPath(this.#namespace()) });
  }

  async #put(name: string, hard: Record<string, string>): Promise<void> {
    const path = `/api/v1/namespaces/${this.#namespace()}/resourcequotas`;
    const body = { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name }, spec: { hard } };
    const created = await this.#env.client.requestRaw({ method: 'POST', path, body });
    if (created.status === 409) {
      const contentType = 'application/merge-patch+json';
      await this.#env.client.request({ method: 'PATCH', path: `${path}/${name}`, contentType, body });
    }
  }

  /** Through kube-apiserver. */
  get #aggregated(): DirectApiserver {
    return { client: this.#env.client, headers: {} };
  }

  #path(name: string): string {
    return `/api/v1/namespaces/${this.#namespace()}/resourcequotas/${name}`;
  }
}

/** A session for which no Pod is started. */
export function heldSession(metadata: object): object {
  return {
    apiVersion: groupVersion,
    kind,
    metadata,
    spec: { suspended: true, runtimeRef: { kind: 'CodeInterpreter', name: 'none' } },
  };
}
