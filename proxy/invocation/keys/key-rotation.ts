import { clockSkewSeconds, tokenLifetimeSeconds } from '../../../apis/wire/token.ts';
import { type KeyAlgorithm, type KeyList, newKey, ordered, type StoredKey } from './key-list.ts';

/** When keys of one kind come and go. */
export interface KeyPolicy {
  algorithm: KeyAlgorithm;
  /** How long a new key is known to everybody before it is used, milliseconds. */
  announceMs: number;
  /** Age at which a key gets a successor, milliseconds; only when somebody asks for it when absent. */
  rotateAfterMs?: number;
  /** The keys that are still needed, of keys in the order of their starts. The youngest is always one of them. */
  stillNeeded: (keys: readonly StoredKey[], now: number) => readonly StoredKey[];
}

/** What a process knows beyond the stored list. */
export interface KnownKeys {
  /** Whether somebody asked for a new key. */
  asked: boolean;
  /** Keys of an earlier Secret of that name that the present one lacks. */
  lost: readonly StoredKey[];
  /** The list's version must not be below it. */
  leastVersion: number;
}

/**
 * The list that should be stored in place of this one; undefined when it is right as it is. A list that lacks keys or
 * goes back in versions happens when a Secret was deleted, and created again by a process that never saw it.
 */
export async function successorOf(
  stored: KeyList,
  known: KnownKeys,
  policy: KeyPolicy,
  now: number,
): Promise<KeyList | undefined> {
  const kept = policy.stillNeeded(ordered([...stored.keys, ...known.lost]), now);
  const added =
    known.asked || isDue(kept, policy, now) ? [await newKey(policy.algorithm, now + policy.announceMs)] : [];
  const [first = stored.keys[0], ...others] = ordered([...kept, ...added]);
  const isSame = added.length === 0 && sameKeys(stored.keys, kept);
  if (isSame && stored.version >= known.leastVersion) return undefined;
  return { version: Math.max(stored.version, known.leastVersion) + 1, keys: [first, ...others] };
}

/**
 * The first list ever, in use at once. Its version is the time in seconds: greater than that of any list before, which
 * nobody remembers, so that daemons that do will take it.
 */
export async function firstKeyList({ algorithm }: KeyPolicy, now: number): Promise<KeyList> {
  return { version: Math.floor(now / 1000), keys: [await newKey(algorithm, now)] };
}

/**
 * The keys that a valid token can still be signed with. A key is used until its successor's start; by a process whose clock
 * is behind, or that hears of the successor late, somewhat longer: it has the successor's announcement time once more.
 */
export function untilTokensExpire(announceMs: number): KeyPolicy['stillNeeded'] {
  const graceMs = (tokenLifetimeSeconds + clockSkewSeconds) * 1000 + announceMs;
  return (keys, now) =>
    keys.filter((_key, index) => {
      const next = keys[index + 1];
      return next === undefined || next.notBefore + graceMs > now;
    });
}

/** The youngest keys, for keys whose public halves stay in Pods for as long as these live. */
export function youngest(count: number): KeyPolicy['stillNeeded'] {
  return (keys) => keys.slice(-count);
}

function isDue(keys: readonly StoredKey[], { rotateAfterMs }: KeyPolicy, now: number): boolean {
  const last = keys.at(-1);
  return rotateAfterMs !== undefined && last !== undefined && last.notBefore + rotateAfterMs <= now;
}

/** Whether these are the same keys, by kid. */
export function sameKeys(some: readonly StoredKey[], others: readonly StoredKey[]): boolean {
  const kids = new Set(some.map(({ kid }) => kid));
  return kids.size === others.length && others.every(({ kid }) => kids.has(kid));
}
