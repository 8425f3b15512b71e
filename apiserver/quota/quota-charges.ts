import { setTimeout as delay } from 'node:timers/promises';
import { type KubeClient, patchTypes } from '../../apis/client/transport.ts';
import { type ApiError, hasReason } from '../../apis/machinery/errors.ts';
import { accounts } from '../../apis/names.ts';
import type { DryRun } from '../sessions/write-options.ts';
import { type QuotaIndex, quotaPath } from './quota-index.ts';
import {
  countAfter,
  countKey,
  type QuotaRequest,
  quotaRefusal,
  type ResourceQuota,
  type SessionQuota,
} from './session-quota.ts';

/** How often a charge is made again because somebody else wrote the quota in between: other replicas, mostly. */
const attempts = 10;

interface Waiter {
  request: QuotaRequest;
  granted: () => void;
  refused: (reason: unknown) => void;
}

/**
 * Charges new sessions to the quotas of their namespace, as kube-apiserver's ResourceQuota admission plugin does for the
 * resources that it serves itself: before the session is stored, by compare-and-swap on the quota's status, all that wait
 * in one namespace by one write. What is charged for a session that is not stored after all, kube-controller-manager
 * finds when it next counts, as it does for every other resource.
 */
export class QuotaCharges {
  readonly #client: KubeClient;
  readonly #index: QuotaIndex;
  /** Who waits in namespaces in which a charge is being made. */
  readonly #waiting = new Map<string, Waiter[]>();

  constructor(client: KubeClient, index: QuotaIndex) {
    this.#client = client;
    this.#index = index;
  }

  /**
   * Charges one session; only looks whether it could be when the request is a dry run.
   * @throws ApiError Forbidden when a quota is exceeded, and whatever kube-apiserver refuses.
   */
  async charge(request: QuotaRequest, dryRun: DryRun): Promise<void> {
    const quotas = this.#index.of(request.namespace);
    if (quotas.length === 0) return;
    if (dryRun === undefined) return await this.#join(request);
    const refusal = refusalOf(await this.#confirmed(quotas, [{ request }]), 0, request);
    if (refusal !== undefined) throw refusal;
  }

  /** Quotas of which those that would refuse somebody were read anew: they may have been raised, or gone, a moment ago. */
  async #confirmed(
    quotas: readonly SessionQuota[],
    waiters: readonly Pick<Waiter, 'request'>[],
  ): Promise<SessionQuota[]> {
    const refuses = (quota: SessionQuota) =>
      waiters.some(({ request }, before) => quotaRefusal(quota, before, request) !== undefined);
    const current = await Promise.all(
      quotas.map((quota) => (refuses(quota) ? this.#index.reread(quota) : Promise.resolve(quota))),
    );
    return current.filter((quota) => quota !== undefined);
  }

  async #join(request: QuotaRequest): Promise<void> {
    const { promise, resolve: granted, reject: refused } = Promise.withResolvers<void>();
    const waiter = { request, granted, refused };
    const waiting = this.#waiting.get(request.namespace);
    if (waiting === undefined) {
      this.#waiting.set(request.namespace, [waiter]);
      // It tells each waiter how it went, and goes on for those that come meanwhile.
      void this.#work(request.namespace);
    } else {
      waiting.push(waiter);
    }
    await promise;
  }

  /** Charges round by round whoever came meanwhile, until nobody waits. */
  async #work(namespace: string): Promise<void> {
    for (;;) {
      const waiters = this.#waiting.get(namespace) ?? [];
      if (waiters.length === 0) break;
      this.#waiting.set(namespace, []);
      await this.#chargeAll(this.#index.of(namespace), waiters);
    }
    this.#waiting.delete(namespace);
  }

  async #chargeAll(quotas: readonly SessionQuota[], waiters: readonly Waiter[]): Promise<void> {
    let remaining = waiters;
    try {
      let uncharged = await this.#confirmed(quotas, waiters);
      for (let attempt = 1; ; attempt += 1) {
        remaining = allowed(uncharged, remaining);
        if (remaining.length === 0) return;
        const conflicts: { quota: SessionQuota; error: unknown }[] = [];
        for (const quota of uncharged) {
          const error = await this.#write(quota, remaining.length);
          if (error !== undefined) conflicts.push({ quota, error });
        }
        if (conflicts.length === 0) break;
        if (attempt === attempts) throw conflicts[0]?.error;
        // Replicas that meet here must not meet again and again.
        await delay(Math.random() * 10 * attempt);
        uncharged = await this.#reread(conflicts.map(({ quota }) => quota));
      }
      for (const { granted } of remaining) granted();
    } catch (error) {
      for (const { refused } of remaining) refused(error);
    }
  }

  /** @returns the error of a quota that is not any more what it was. */
  async #write(quota: SessionQuota, sessions: number): Promise<unknown> {
    const { namespace, name, uid, resourceVersion, used = '0' } = quota;
    try {
      const written = await this.#client.request<ResourceQuota>({
        method: 'PATCH',
        path: `${quotaPath(namespace, name)}/status`,
        query: { fieldManager: accounts.apiserver },
        contentType: patchTypes.merge,
        body: {
          metadata: { uid, resourceVersion },
          status: { used: { [countKey]: countAfter(used, sessions) } },
        },
      });
      this.#index.saw(written);
      return undefined;
    } catch (error) {
      if (hasReason(error, 'Conflict', 'NotFound', 'Invalid')) return error;
      throw error;
    }
  }

  /** A quota that is gone limits nothing. */
  async #reread(quotas: readonly SessionQuota[]): Promise<SessionQuota[]> {
    const current = await Promise.all(quotas.map((quota) => this.#index.reread(quota)));
    return current.filter((quota) => quota !== undefined);
  }
}

/** Those whom every quota allows, one after the other; the others are told. */
function allowed(quotas: readonly SessionQuota[], waiters: readonly Waiter[]): Waiter[] {
  const fitting: Waiter[] = [];
  for (const waiter of waiters) {
    const refusal = refusalOf(quotas, fitting.length, waiter.request);
    if (refusal === undefined) fitting.push(waiter);
    else waiter.refused(refusal);
  }
  return fitting;
}

function refusalOf(quotas: readonly SessionQuota[], granted: number, request: QuotaRequest): ApiError | undefined {
  for (const quota of quotas) {
    const refusal = quotaRefusal(quota, granted, request);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}
