import { annotations, labels } from '../../apis/names.ts';
import type { Sandbox } from '../../apis/v1alpha1/sandbox.ts';
import { sessionUid } from '../../apis/v1alpha1/uid.ts';
import type { Entry, Ledger } from './ledger.ts';
import type { Departure } from './observer.ts';

/** Clocks and whole seconds. */
const toleranceMs = 2_000;
/** A Sandbox may outlive its deadline by so much. */
const latestMs = 10_000;
const poolLabel = 'agents.x-k8s.io/warm-pool-sandbox';

/** The state after a run. */
export interface Aftermath {
  ledger: Ledger;
  sandboxes: readonly Sandbox[];
  departures: ReadonlyMap<string, Departure>;
  /** Milliseconds since the epoch. */
  now: number;
}

/** Every promise that a run broke, one sentence each. */
export function audit({ ledger, sandboxes, departures, now }: Aftermath): string[] {
  const present = new Map(sandboxes.map((sandbox) => [sessionUid(sandbox.metadata.uid ?? ''), sandbox]));
  return [
    ...sandboxes.flatMap((sandbox) => strays(sandbox, now)),
    ...ledger.all.flatMap((entry) => {
      const sandbox = present.get(entry.uid);
      return sandbox === undefined ? missing(entry, departures.get(entry.uid)) : overdue(entry, sandbox);
    }),
  ];
}

/** What no Sandbox may be, whoever knows of it. */
function strays({ metadata, spec }: Sandbox, now: number): string[] {
  const name = metadata.name ?? '';
  const isSession = metadata.labels?.[labels.session] === 'true';
  const problems: string[] = [];
  if (!isSession && metadata.labels?.[poolLabel] === undefined)
    problems.push(`${name} is neither a session nor in a pool`);
  if (isSession && metadata.annotations?.[annotations.session] === undefined)
    problems.push(`${name} has no session document`);
  const end = Date.parse(spec?.shutdownTime ?? '');
  const held = (metadata.finalizers ?? []).length > 0;
  if (isSession && !held && end + latestMs < now) problems.push(`${name} lives ${(now - end) / 1000} s past its end`);
  return problems;
}

function missing(entry: Entry, departure: Departure | undefined): string[] {
  const { name, uid } = entry;
  // The bystander sees nothing of what came and went while kube-apiserver was away.
  if (entry.deletionAskedAt !== undefined) return [];
  if (departure === undefined) return [`${name} (${uid}) was acknowledged and nobody has ever seen it go`];
  const { seenAt, last } = departure;
  const end = Date.parse(last.spec?.shutdownTime ?? '');
  if (!(seenAt + toleranceMs >= end))
    return [`${name} went ${(end - seenAt) / 1000} s before its end, and nobody asked for it`];
  const used = Math.max(entry.createdAt, entry.answeredAt ?? 0);
  const earliest = Math.min(used + Math.min(...entry.idleTimeoutsMs), entry.createdAt + entry.maxDurationMs);
  if (seenAt + toleranceMs >= earliest) return [];
  return [`${name} expired ${(earliest - seenAt) / 1000} s early: used until ${new Date(used).toISOString()}`];
}

function overdue(entry: Entry, { spec }: Sandbox): string[] {
  const { name, createdAt, attemptedAt, idleTimeoutsMs, maxDurationMs } = entry;
  const end = Date.parse(spec?.shutdownTime ?? '');
  const idleMs = Math.max(...idleTimeoutsMs);
  const used = Math.max(createdAt, attemptedAt ?? 0);
  const latest = Math.min(used + Math.max(1.25 * idleMs, idleMs + 5_000) + 5_000, createdAt + maxDurationMs);
  return end <= latest + toleranceMs ? [] : [`${name} would end ${(end - latest) / 1000} s too late`];
}
