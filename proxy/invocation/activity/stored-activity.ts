import type { ApiError } from '../../../apis/machinery/errors.ts';
import { parseTime } from '../../../apis/machinery/time.ts';
import { flushIntervalMs, idleAfter, type Lifetime, latestEnd, lifetimeOf } from '../../../apis/v1alpha1/deadline.ts';
import type { CompleteSessionSpec, Session } from '../../../apis/v1alpha1/types.ts';
import { endingOf, sessionEnded } from '../endings/ending.ts';
import type { SessionRecord } from '../session-record.ts';

/** What is stored of a session's activity and end, at one resourceVersion. Times are milliseconds since the epoch. */
export interface StoredActivity {
  session: Session;
  sandboxUid: string;
  resourceVersion: string;
  lifetime: Lifetime;
  intervalMs: number;
  /** The last activity that was written; the creation as long as there is none. */
  activityAt: number;
  /** When the session ends as it is now; Infinity when nothing says so. */
  endsAt: number;
  /** When it ends at the latest, whatever activity there is. */
  latestEnd: number;
  /** When it is to be suspended as it is now; Infinity for one that is not, or that has no Pod to lose. */
  suspendsAt: number;
}

/** Reads a session; undefined for one that ends by itself: its document is broken, or it is being deleted. */
export function readStoredActivity({ session, sandboxUid }: SessionRecord): StoredActivity | undefined {
  const { metadata, spec, status } = session;
  const createdAt = parseTime(metadata.creationTimestamp);
  if (createdAt === undefined || !isComplete(spec) || metadata.deletionTimestamp !== undefined) return undefined;
  const lifetime = lifetimeOf(createdAt, spec);
  const activityAt = Math.max(createdAt, parseTime(status?.lastActivityTime) ?? createdAt);
  return {
    session,
    sandboxUid,
    resourceVersion: metadata.resourceVersion ?? '0',
    lifetime,
    intervalMs: flushIntervalMs(lifetime),
    activityAt,
    endsAt: parseTime(status?.expirationTime) ?? Number.POSITIVE_INFINITY,
    latestEnd: latestEnd(lifetime),
    suspendsAt: spec.idleAction === 'Suspend' && status?.phase === 'Ready' ? idleAfter(lifetime, activityAt) : Infinity,
  };
}

/** Whether a resourceVersion is newer than another of the same object (KEP-5504: they are ordered numbers). */
export function isNewer(resourceVersion: string, than: string): boolean {
  return resourceVersion !== than && BigInt(resourceVersion) > BigInt(than);
}

/** The error of a call for a session whose end has come. */
export function ended({ session, endsAt }: StoredActivity): ApiError {
  const { name = '', uid = '' } = session.metadata;
  return sessionEnded(endingOf(session, endsAt), { name, uid });
}

/** A session whose document can be read has every default filled in. */
function isComplete(spec: Session['spec']): spec is CompleteSessionSpec {
  return spec.idleTimeout !== undefined && spec.maxDuration !== undefined && spec.idleAction !== undefined;
}
