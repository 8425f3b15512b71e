import { Informer } from '../../apis/client/informer.ts';
import type { KubeClient } from '../../apis/client/transport.ts';
import { findCondition } from '../../apis/machinery/meta.ts';
import { poolApi, sandboxApi } from '../../apis/names.ts';
import type { Log } from '../../apis/runtime/log.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import { sandboxFingerprint } from './fingerprint.ts';

/** A Sandbox that waits in a pool. */
export interface PoolMember {
  namespace: string;
  name: string;
  uid: string;
  resourceVersion: string;
  poolUid: string | undefined;
  /** Ready with an address, and neither suspended, ending nor on its way out. */
  available: boolean;
  /** Why it does not become so, as its Sandbox says: no Pod can be made of it, or no node takes it. */
  trouble: { reason: string; message: string } | undefined;
  fingerprint: string;
}

/** How the attempt to take a member ended. */
export type ClaimOutcome = 'changed' | 'untouched';

/** The unclaimed members of all pools, from a watch; and those of them that this process is about to take or has taken. */
export class PoolMembers {
  readonly #informer: Informer<Sandbox, PoolMember>;
  readonly #byPool = new Map<string, Map<string, PoolMember>>();
  /** By uid, the resourceVersion at which each was tried: what the watch has not caught up with is not tried twice. */
  readonly #claimed = new Map<string, string>();

  constructor({ client, log }: { client: KubeClient; log: Log }) {
    this.#informer = new Informer<Sandbox, PoolMember>({
      client,
      log,
      path: `${sandboxApi.path}/${sandboxApi.resource}`,
      // A claim takes the label away, so kube-apiserver tells a claim of anybody's as a deletion.
      labelSelector: poolApi.memberLabel,
      keep: poolMember,
      onChange: ({ previous, current }) => {
        if (previous?.poolUid !== undefined) this.#remove(previous.poolUid, previous.uid);
        if (current?.poolUid !== undefined) this.#membersOf(current.poolUid).set(current.uid, current);
        for (const uid of [previous?.uid, current?.uid]) if (uid !== undefined) this.#forgetClaim(uid, current);
      },
    });
  }

  start(): void {
    this.#informer.start();
  }

  async stop(): Promise<void> {
    await this.#informer.stop();
  }

  /** Members of a pool that may be taken, in no order. */
  available(pool: { uid: string; fingerprint: string | undefined }): PoolMember[] {
    return [...(this.#byPool.get(pool.uid)?.values() ?? [])].filter(
      (member) => member.available && member.fingerprint === pool.fingerprint && !this.#claimed.has(member.uid),
    );
  }

  /** Every unclaimed member of a pool, in no order. */
  of(poolUid: string): PoolMember[] {
    return [...(this.#byPool.get(poolUid)?.values() ?? [])];
  }

  /** Keeps others of this process from a member; false when one of them has it. Ends with {@link settle}. */
  claim(member: PoolMember): boolean {
    if (this.#claimed.has(member.uid)) return false;
    this.#claimed.set(member.uid, member.resourceVersion);
    return true;
  }

  /** Ends a claim. What is known to have changed stays claimed until the watch tells how. */
  settle(member: PoolMember, outcome: ClaimOutcome): void {
    const seen = this.#informer.get(member.namespace, member.name);
    const isNews = seen?.uid === member.uid && seen.resourceVersion === member.resourceVersion;
    if (outcome === 'untouched' || !isNews) this.#claimed.delete(member.uid);
  }

  #forgetClaim(uid: string, current: PoolMember | undefined): void {
    const tried = this.#claimed.get(uid);
    if (tried !== undefined && (current?.uid !== uid || current.resourceVersion !== tried)) this.#claimed.delete(uid);
  }

  #membersOf(poolUid: string): Map<string, PoolMember> {
    const members = this.#byPool.get(poolUid) ?? new Map<string, PoolMember>();
    this.#byPool.set(poolUid, members);
    return members;
  }

  #remove(poolUid: string, uid: string): void {
    const members = this.#byPool.get(poolUid);
    members?.delete(uid);
    if (members?.size === 0) this.#byPool.delete(poolUid);
  }
}

/** Reason of a Sandbox's Ready condition when its controller failed: a quota or a policy refuses the Pod, say. */
const refused = 'ReconcilerError';

function troubleOf({ status }: Sandbox): PoolMember['trouble'] {
  const ready = findCondition(status?.conditions, 'Ready');
  if (ready?.status === 'False' && ready.reason === refused) return ready;
  const scheduled = findCondition(status?.conditions, 'PodScheduled');
  return scheduled?.status === 'False' ? scheduled : undefined;
}

function poolMember(sandbox: Sandbox): PoolMember {
  const { metadata, spec = {}, status } = sandbox;
  const trouble = troubleOf(sandbox);
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
  const isMember = owner?.kind === poolApi.pool.kind && owner.apiVersion.startsWith(`${poolApi.group}/`);
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name ?? '',
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    poolUid: isMember ? owner.uid : undefined,
    available:
      metadata.deletionTimestamp === undefined &&
      findCondition(status?.conditions, 'Ready')?.status === 'True' &&
      (status?.podIPs?.length ?? 0) > 0 &&
      spec.operatingMode !== 'Suspended' &&
      spec.shutdownTime === undefined,
    trouble: trouble === undefined ? undefined : { reason: trouble.reason, message: trouble.message },
    fingerprint: sandboxFingerprint(spec),
  };
}
