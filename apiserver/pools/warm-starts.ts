import { createHash } from 'node:crypto';
import type { Runtime } from '../../apis/agentcube/runtime.ts';
import type { KubeClient } from '../../apis/client/transport.ts';
import { hasReason } from '../../apis/machinery/errors.ts';
import type { ObjectMeta } from '../../apis/machinery/meta.ts';
import { accounts } from '../../apis/names.ts';
import { adoptionPatch } from '../../apis/v1alpha1/adoption.ts';
import type { NewSession } from '../../apis/v1alpha1/new-sandbox.ts';
import { comparePools, fitsRuntime } from '../../apis/v1alpha1/pool-record.ts';
import { desiredPool } from '../../apis/v1alpha1/pool-template.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import { sandboxChange } from '../../apis/v1alpha1/sandbox-change.ts';
import type { DatedTrustAnchors } from '../../apis/wire/trust-anchor.ts';
import type { PoolMember, PoolMembers } from './members.ts';
import type { Namespaces } from './namespaces.ts';
import type { FillingPool, PoolIndex } from './pool-index.ts';

/** What the pool of a runtime has for a new session. */
export interface WarmOffer {
  /** In the order in which they are to be tried; none means a cold start. */
  candidates: PoolMember[];
  /** Text for a Warning header: there is a pool, but the name that is asked for keeps the session from it. */
  warning: string | undefined;
}

/** What a warm start depends on. */
export interface WarmRequest {
  runtime: Runtime;
  anchors: DatedTrustAnchors;
  metadata: Pick<ObjectMeta, 'name' | 'generateName'>;
  /** Requests of one seed try members in the same order, in whatever process; any order when absent. */
  seed: string | undefined;
}

export interface WarmStartsOptions {
  client: KubeClient;
  pools: PoolIndex;
  members: PoolMembers;
  namespaces: Namespaces;
}

const noOffer: WarmOffer = { candidates: [], warning: undefined };

/** Starts sessions from pools: one compare-and-swap on a Ready member, the next one when somebody else was faster. */
export class WarmStarts {
  readonly #options: WarmStartsOptions;

  constructor(options: WarmStartsOptions) {
    this.#options = options;
  }

  start(): void {
    this.#options.members.start();
    this.#options.namespaces.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#options.members.stop(), this.#options.namespaces.stop()]);
  }

  /** What there is for a new session now; asks nobody. */
  offer({ runtime, anchors, metadata, seed }: WarmRequest): WarmOffer {
    const pool = this.#poolFor(runtime, anchors);
    if (pool === undefined) return noOffer;
    const { name, generateName = '' } = metadata;
    if ((name !== undefined && name !== '') || !`${pool.name}-`.startsWith(generateName)) {
      return { candidates: [], warning: doesNotFit(runtime, name, generateName) };
    }
    const members = this.#options.members.available(pool);
    return { candidates: seed === undefined ? shuffled(members) : ranked(members, seed), warning: undefined };
  }

  /**
   * Takes the first candidate that is still there; undefined when none is.
   * @throws ApiError what kube-apiserver answers about the session itself: a policy's denial, say.
   */
  async adopt(session: NewSession, { candidates }: WarmOffer, dryRun: 'All' | undefined): Promise<Sandbox | undefined> {
    const { members } = this.#options;
    for (const member of candidates) {
      if (!members.claim(member)) continue;
      try {
        const sandbox = await this.#patch(session, member, dryRun);
        members.settle(member, dryRun === undefined ? 'changed' : 'untouched');
        return sandbox;
      } catch (error) {
        const isGone = wasChanged(error);
        // Where nobody knows whether it was written, the next attempt at it finds out.
        members.settle(member, isGone ? 'changed' : 'untouched');
        if (!isGone) throw error;
      }
    }
    return undefined;
  }

  /** The newest pool whose sandboxes are right for a runtime. */
  #poolFor(runtime: Runtime, anchors: DatedTrustAnchors): FillingPool | undefined {
    const { pools, namespaces } = this.#options;
    const known = pools.poolsOf(runtime);
    if (known.length === 0 || !namespaces.takesNew(runtime.namespace)) return undefined;
    const { record: desired } = desiredPool(runtime, anchors);
    return known
      .filter(({ record, fingerprint }) => fingerprint !== undefined && fitsRuntime(record, desired))
      .sort((a, b) => comparePools(b.record, a.record))[0];
  }

  async #patch(session: NewSession, member: PoolMember, dryRun: 'All' | undefined): Promise<Sandbox> {
    return await this.#options.client.request<Sandbox>({
      ...sandboxChange(member, adoptionPatch(session, member)),
      query: { dryRun, fieldManager: accounts.apiserver },
    });
  }
}

/** Whether an adoption failed because the member is not what it was: changed, gone, or another one of its name. */
function wasChanged(error: unknown): boolean {
  if (hasReason(error, 'Conflict', 'NotFound')) return true;
  return hasReason(error, 'Invalid') && error.details?.causes?.some(({ field }) => field === 'metadata.uid') === true;
}

function doesNotFit({ name: runtime }: Runtime, name: string | undefined, generateName: string): string {
  const asked = name === undefined || name === '' ? `generateName "${generateName}"` : `name "${name}"`;
  return `${asked} keeps the session from the warm pool of "${runtime}", so it starts cold; generateName "${runtime}-" starts warm`;
}

/** Replicas, and requests of one, rarely try the same member first. */
function shuffled<T>(items: readonly T[]): T[] {
  const order = [...items];
  for (let last = order.length - 1; last > 0; last -= 1) {
    const other = Math.floor(Math.random() * (last + 1));
    [order[last], order[other]] = [order[other] as T, order[last] as T];
  }
  return order;
}

function ranked(members: readonly PoolMember[], seed: string): PoolMember[] {
  const rank = ({ uid }: PoolMember) => createHash('sha256').update(seed).update(uid).digest('hex');
  return members
    .map((member) => ({ member, rank: rank(member) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .map(({ member }) => member);
}
