import { hashOf } from '../../apis/machinery/canonical.ts';
import type { SandboxSpec } from '../../apis/v1alpha1/sandbox.ts';

/** Fields whose values are quantities: the pool controller writes them anew, "1024Mi" as "1Gi". */
const quantities = new Set(['requests', 'limits', 'overhead', 'sizeLimit', 'divisor', 'capacity']);

/** Fields that are true when absent: without their false a sandbox could do more. */
const trueByDefault = new Set([
  'automountServiceAccountToken',
  'enableServiceLinks',
  'allowPrivilegeEscalation',
  'hostUsers',
]);

/**
 * A hash of what makes a sandbox, equal for a template and the members that the pool controller makes of it. Whoever may create
 * Sandboxes can make one look like a member of any pool: only its fingerprint tells that it is not. Left out is what a
 * round trip through the controller's types changes: quantities, and values that are empty, zero or false where that is the
 * same as absent.
 */
export function sandboxFingerprint({ podTemplate, volumeClaimTemplates }: SandboxSpec): string {
  return hashOf([
    significant(podTemplate?.spec),
    significant(podTemplate?.metadata?.annotations),
    significant(volumeClaimTemplates),
  ]);
}

function significant(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value || undefined;
  if (Array.isArray(value)) {
    const items = value.map(significant).filter((item) => item !== undefined);
    return items.length === 0 ? undefined : items;
  }
  const members = Object.entries(value)
    .filter(([name]) => !quantities.has(name))
    .map(([name, member]) => [name, member === false && trueByDefault.has(name) ? false : significant(member)] as const)
    .filter(([, member]) => member !== undefined);
  return members.length === 0 ? undefined : Object.fromEntries(members);
}
