import type { KubeObject } from '../machinery/meta.ts';
import { annotations } from '../names.ts';

/**
 * Version of the way in which a runtime becomes a sandbox. Raise it whenever the same runtime and keys give another
 * sandbox than before: of two replicas of different versions, the one with the greater number has its way with the pools.
 */
export const templateFormat = 1;

/** What a pool was made of, as its annotation records it. */
export interface PoolRecord {
  runtime: { uid: string; generation: number };
  templateFormat: number;
  /** Grows with every key that its sandboxes may be told to trust; 0 for those that trust none. */
  keyGeneration: number;
  /** SHA-256 of what its sandboxes are made of. */
  templateHash: string;
  /** How many of them wait. */
  size: number;
}

/** Reads the record of a pool or template; undefined when it has none that can be read. */
export function readPoolRecord(object: KubeObject): PoolRecord | undefined {
  const text = object.metadata.annotations?.[annotations.pool];
  if (text === undefined) return undefined;
  let value: Partial<PoolRecord> | null;
  try {
    value = JSON.parse(text) as Partial<PoolRecord> | null;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
  const { runtime, templateFormat: format, keyGeneration, templateHash, size } = value ?? {};
  const numbers = [runtime?.generation, format, keyGeneration, size];
  if (typeof runtime?.uid !== 'string' || typeof templateHash !== 'string') return undefined;
  return numbers.every(Number.isSafeInteger) ? (value as PoolRecord) : undefined;
}

/**
 * The order of the pools of one runtime: by its generation, then by the keys, then by the template format. Positive when `a`
 * is the greater one.
 */
export function comparePools(a: PoolRecord, b: PoolRecord): number {
  return (
    a.runtime.generation - b.runtime.generation ||
    a.keyGeneration - b.keyGeneration ||
    a.templateFormat - b.templateFormat
  );
}

/**
 * Whether sessions of a runtime as it is desired now may take members of a pool: its sandboxes are what this process would
 * make, or what one with newer keys or of a later version makes of the same generation.
 */
export function fitsRuntime(pool: PoolRecord, desired: PoolRecord): boolean {
  if (pool.runtime.uid !== desired.runtime.uid) return false;
  if (pool.templateHash === desired.templateHash) return true;
  return pool.runtime.generation === desired.runtime.generation && comparePools(pool, desired) > 0;
}
