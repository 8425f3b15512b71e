import { ApiError } from './errors.ts';

/** Deeper than any object that is worth patching; what is nested deeper would only cost stack. */
export const deepestNesting = 64;
export const nestedTooDeep = `the patch is nested deeper than ${deepestNesting} levels`;

/**
 * A JSON object with a merge patch applied (RFC 7396): null takes away, objects are merged, anything else takes the place.
 * Neither argument is changed; every object of the result that the patch touches is a fresh, plain one.
 * @throws ApiError BadRequest when the patch is no object, or nested deeper than {@link deepestNesting}.
 */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (patch === null || typeof patch !== 'object') throw new ApiError('BadRequest', 'Invalid JSON Patch');
  return merge(target, patch, 0);
}

function merge(target: unknown, patch: unknown, depth: number): unknown {
  if (depth > deepestNesting) throw new ApiError('BadRequest', nestedTooDeep);
  if (!isObject(patch)) return patch;
  // A Map and fromEntries, because a member named "__proto__" must stay a member.
  const members = new Map(Object.entries(isObject(target) ? target : {}));
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) members.delete(name);
    else members.set(name, merge(members.get(name), value, depth + 1));
  }
  return Object.fromEntries(members);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
