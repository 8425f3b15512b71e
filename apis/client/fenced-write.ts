import { hasReason } from '../machinery/errors.ts';

/**
 * Whether a write that was fenced by uid and resourceVersion took place: false when its object had changed or gone.
 * @throws whatever else it failed with.
 */
export async function tookPlace(write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    if (hasReason(error, 'Conflict', 'NotFound')) return false;
    throw error;
  }
}
