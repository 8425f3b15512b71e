import { hashOf } from '../../apis/machinery/canonical.ts';
import { parseQuantity } from '../../apis/machinery/quantity.ts';
import { sandboxApi } from '../../apis/names.ts';
import type { SandboxSpec } from '../../apis/v1alpha1/sandbox.ts';

/** Fields whose members are quantities by name, and fields that are one: the pool controller writes "1024Mi" as "1Gi". */
const quantityMaps = new Set(['requests', 'limits', 'overhead', 'capacity']);
const quantities = new Set(['sizeLimit', 'divisor']);

/** Fields that are true when absent: without their false a sandbox could do more. */
const trueByDefault = new Set([
  'automountServiceAccountToken',
  'enableServiceLinks',
  'allowPrivilegeEscalation',
  'hostUsers',
]);

/**
 * A hash of what makes a sandbox, equal for a template and the members that the pool controller makes of it. Whoever may create
 * Sandboxes can make one look like a member of any pool: only its fingerprint tells that it is not. Quantities are compared by
 * their value; left out is what the controller adds, its own labels, and what a round trip through its types changes: values
 * that are empty, zero or false where that is the same as absent.
 */
export function sandboxFingerprint({ podTemplate, volumeClaimTemplates }: SandboxSpec): string {
  const { labels = {}, annotations = {} } = podTemplate?.metadata ?? {};
  return hashOf([
    significant(podTemplate?.spec),
    // Keys of the controller's own are on members alone, and come to no Pod (agent-sandbox v1.0.3, buildSandboxCR).
    Object.fromEntries(Object.entries(labels).filter(([key]) => !key.startsWith(`${sandboxApi.group}/`))),
    annotations,
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
    .map(([name, member]) => [name, significantMember(name, member)] as const)
    .filter(([, member]) => member !== undefined);
  return members.length === 0 ? undefined : Object.fromEntries(members);
}

function significantMember(name: string, member: unknown): unknown {
  if (member === false && trueByDefault.has(name)) return false;
  if (quantities.has(name)) return scalarQuantity(member);
  if (!quantityMaps.has(name) || typeof member !== 'object' || member === null) return significant(member);
  // A request of nothing is another one than none, for which Kubernetes takes the limit.
  const amounts = Object.entries(member).map(([resource, amount]) => [resource, quantityOf(amount)] as const);
  return amounts.length === 0 ? undefined : Object.fromEntries(amounts);
}

/** The controller writes a divisor that was not given as "0". */
function scalarQuantity(member: unknown): string | undefined {
  const amount = quantityOf(member);
  return amount === '0' ? undefined : amount;
}

function quantityOf(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  const text = String(value);
  return parseQuantity(text)?.toString() ?? text;
}
