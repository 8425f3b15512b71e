import { setTimeout as delay } from 'node:timers/promises';
import { hasReason } from '../machinery/errors.ts';

/** kube-apiserver has waited for some seconds itself, each time. */
const mostAttempts = 5;

/**
 * Reads a further page of a list, again if kube-apiserver's cache has not come to the version of the first one yet. It reads
 * a first page from etcd then, which has the next ones told that their version is too large
 * (k8s.io/apiserver/pkg/storage/cacher/delegator.go falls back for consistent reads alone).
 * @throws what `read` throws otherwise, and the fifth time.
 */
export async function whenCaughtUp<T>(read: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await read();
    } catch (error) {
      if (!hasReason(error, 'Timeout') || attempt === mostAttempts) throw error;
      if (error.details?.causes?.some(({ reason }) => reason === 'ResourceVersionTooLarge') !== true) throw error;
      await delay((error.retryAfterSeconds ?? 1) * 1000, undefined, signal === undefined ? {} : { signal });
    }
  }
}
