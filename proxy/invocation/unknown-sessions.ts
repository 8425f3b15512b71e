import { LRUCache } from 'lru-cache';
import type { KubeClient } from '../../apis/client/transport.ts';
import { ApiError, hasReason } from '../../apis/machinery/errors.ts';
import { labels } from '../../apis/names.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import { sandboxPath } from '../../apis/v1alpha1/sandbox-paths.ts';

/** How long an absent name is taken for absent without another look, so that wrong names cost kube-apiserver little. */
const absentMs = 1_000;
const largestCache = 10_000;

/**
 * Second look at sessions that a watch does not show: whoever created one may call it before the watch has brought it.
 * No call of a known session comes here.
 */
export class UnknownSessions {
  readonly #client: KubeClient;
  readonly #answers: LRUCache<string, { exists: boolean }>;

  constructor(client: KubeClient) {
    this.#client = client;
    this.#answers = new LRUCache<string, { exists: boolean }>({
      max: largestCache,
      ttl: absentMs,
      ignoreFetchAbort: true,
      fetchMethod: async (key) => ({ exists: await this.#read(key) }),
    });
  }

  /** Whether kube-apiserver has such a session. @throws ApiError when it could not be asked. */
  async exists(namespace: string, name: string): Promise<boolean> {
    const answer = await this.#answers.fetch(`${namespace}/${name}`);
    return answer?.exists === true;
  }

  async #read(key: string): Promise<boolean> {
    const [namespace = '', name = ''] = key.split('/');
    const path = sandboxPath(namespace, name);
    try {
      const sandbox = await this.#client.request<Sandbox>({ path });
      return sandbox.metadata.labels?.[labels.session] === 'true';
    } catch (error) {
      if (hasReason(error, 'NotFound')) return false;
      throw new ApiError('ServiceUnavailable', 'whether the session exists could not be checked; try again', {
        cause: error,
        retryAfterSeconds: 1,
      });
    }
  }
}
