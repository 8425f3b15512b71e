import { endAfter } from '../../../apis/v1alpha1/deadline.ts';
import type { StoredActivity } from './stored-activity.ts';

/** What is written of a session's activity; times are whole seconds in milliseconds since the epoch. */
export interface Flush {
  activityAt?: number;
  endsAt?: number;
}

/** What is to be written after an activity. The deadline only ever moves forward; one that is missing is set. */
export function nextFlush({ activityAt, endsAt, lifetime }: StoredActivity, lastActivityAt: number): Flush {
  const newest = Math.max(lastActivityAt, activityAt);
  const end = endAfter(lifetime, newest);
  return {
    ...(newest > activityAt ? { activityAt: newest } : {}),
    ...(end > endsAt || endsAt === Number.POSITIVE_INFINITY ? { endsAt: end } : {}),
  };
}
