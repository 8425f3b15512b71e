import { documentLimitBytes } from '../../apis/v1alpha1/document.ts';
import { type DecodedSession, invalidSession } from './decode.ts';

/**
 * Everything a user chooses counts, and is counted before anything else is looked at: it is copied to every watcher.
 * @throws ApiError Invalid.
 */
export function refuseOversize({ metadata, spec }: DecodedSession): void {
  const { name, generateName, labels, annotations, ownerReferences, finalizers } = metadata;
  const chosen = { name, generateName, labels, annotations, ownerReferences, finalizers, spec };
  const size = Buffer.byteLength(JSON.stringify(chosen));
  if (size <= documentLimitBytes) return;
  const message = `Too long: a session may hold ${documentLimitBytes} bytes in all, this one has ${size}; keep payloads elsewhere`;
  throw invalidSession(name ?? generateName ?? '', [{ reason: 'FieldValueTooLong', message, field: 'metadata' }]);
}
