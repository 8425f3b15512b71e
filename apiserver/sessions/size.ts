import { documentLimitBytes } from '../../apis/v1alpha1/document.ts';
import { type DecodedSession, invalidSession } from './decode.ts';

/**
 * Everything a user chooses counts, and is counted before anything else is looked at: it is copied to every watcher.
 * @param others bytes that are stored besides.
 * @throws ApiError Invalid.
 */
export function refuseOversize({ metadata, spec }: Pick<DecodedSession, 'metadata' | 'spec'>, others = 0): void {
  const { name, generateName } = metadata;
  const size = chosenBytes({ metadata, spec }) + others;
  if (size <= documentLimitBytes) return;
  const message = `Too long: a session may hold ${documentLimitBytes} bytes in all, this one has ${size}; keep payloads elsewhere`;
  throw invalidSession(name ?? generateName ?? '', [{ reason: 'FieldValueTooLong', message, field: 'metadata' }]);
}

/** Bytes of everything in a Session that its users choose. */
export function chosenBytes({ metadata, spec }: Pick<DecodedSession, 'metadata' | 'spec'>): number {
  const { name, generateName, labels, annotations, ownerReferences, finalizers } = metadata;
  return Buffer.byteLength(
    JSON.stringify({ name, generateName, labels, annotations, ownerReferences, finalizers, spec }),
  );
}
