import type { Failure } from '../../apis/v1alpha1/failure.ts';
import type { PoolMember } from './members.ts';
import type { KnownPool } from './pool-plan.ts';

/** Why a pool does not fill, in the words of what keeps one of its sandboxes from running. */
export interface PoolTrouble {
  reason: string;
  message: string;
}

/** How long the pool controller may take for the first sandbox of a pool. */
const firstMemberMs = 30_000;

export interface PoolTroublesOptions {
  /** The unclaimed members of a pool. */
  membersOf: (poolUid: string) => readonly PoolMember[];
  /** Why the Pod of a Sandbox does not run. */
  podFailureOf: (sandboxUid: string) => Failure | undefined;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/** Finds what keeps pools from being full: an image, a quota, no room on any node, a program that ends. */
export class PoolTroubles {
  readonly #options: PoolTroublesOptions;

  constructor(options: PoolTroublesOptions) {
    this.#options = options;
  }

  /** Of a pool that is not full; that of the first member by name which has one, so that replicas agree. */
  of({ name, uid, createdAt, record }: KnownPool): PoolTrouble | undefined {
    const { membersOf, podFailureOf, now } = this.#options;
    const members = [...membersOf(uid)].sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const member of members) {
      if (member.available) continue;
      const trouble = podFailureOf(member.uid) ?? member.trouble;
      if (trouble !== undefined) return { reason: trouble.reason, message: trouble.message };
    }
    if (members.length > 0 || record.size === 0 || now() - createdAt < firstMemberMs) return undefined;
    const message = `the pool controller has made no sandbox of it; kubectl events --for sandboxwarmpool/${name} may say why`;
    return { reason: 'NoSandboxes', message };
  }
}
