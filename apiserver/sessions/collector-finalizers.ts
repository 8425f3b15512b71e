import { finalizers } from '../../apis/names.ts';
import type { PropagationPolicy } from './delete-options.ts';

/** The garbage collector's finalizers of a Session, as its Sandbox stores them, by the policy that each stands for. */
const collector = { Foreground: finalizers.foregroundDeletion, Orphan: finalizers.orphan } as const;
const policyOf = new Map<string, PropagationPolicy>([
  [collector.Foreground, 'Foreground'],
  [collector.Orphan, 'Orphan'],
]);

/** The policy that a Sandbox's finalizers tell of; Background when they tell of none. */
export function storedPolicy(stored: readonly string[]): PropagationPolicy {
  const finalizer = stored.find((candidate) => policyOf.has(candidate)) ?? '';
  return policyOf.get(finalizer) ?? 'Background';
}

/**
 * The finalizers of a Sandbox whose Session is deleted; undefined when they need not change
 * (k8s.io/apiserver/pkg/registry/generic/registry/store.go, deletionFinalizersForGarbageCollection).
 * @param policy undefined leaves it to what is stored.
 */
export function finalizersFor(
  stored: readonly string[],
  policy: PropagationPolicy = storedPolicy(stored),
): string[] | undefined {
  const others = stored.filter((finalizer) => !policyOf.has(finalizer));
  const wanted = policy === 'Background' ? others : [...others, collector[policy]];
  const isSame = wanted.length === stored.length && wanted.every((finalizer) => stored.includes(finalizer));
  return isSame ? undefined : wanted;
}
