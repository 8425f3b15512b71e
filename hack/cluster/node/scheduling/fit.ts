import type { NodeSelectorRequirement, Pod, ResourceList } from '../api/pod.ts';
import { quantityOf } from '../api/quantity.ts';

/** What scheduling looks at of a Node. */
export interface SchedulableNode {
  name: string;
  labels: Readonly<Record<string, string>>;
  allocatable: ResourceList;
}

/** Why a Pod does not fit the one node there is, in kube-scheduler's words; undefined when it does. */
export function unfitness(pod: Pod, node: SchedulableNode): string | undefined {
  if (!matches(pod, node)) return "1 node(s) didn't match Pod's node affinity/selector";
  const short = insufficient(pod, node.allocatable);
  return short.length === 0 ? undefined : short.map((resource) => `1 Insufficient ${resource}`).join(', ');
}

/** The message of a Pod that cannot be scheduled. */
export function unschedulable(reason: string): string {
  return (
    `0/1 nodes are available: ${reason}. ` +
    'preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.'
  );
}

/**
 * Resources of which the Pod alone asks for more than the node has. Init containers run one after the other, so of
 * them the greatest counts (k8s.io/component-helpers/resource, PodRequests).
 */
function insufficient(pod: Pod, allocatable: ResourceList): string[] {
  const needed = new Map<string, number>();
  for (const { resources } of pod.spec.containers) {
    for (const [name, quantity] of Object.entries(resources?.requests ?? {})) {
      needed.set(name, (needed.get(name) ?? 0) + quantityOf(quantity));
    }
  }
  for (const { resources } of pod.spec.initContainers ?? []) {
    for (const [name, quantity] of Object.entries(resources?.requests ?? {})) {
      needed.set(name, Math.max(needed.get(name) ?? 0, quantityOf(quantity)));
    }
  }
  const enough = (name: string, quantity: number) => quantity <= quantityOf(allocatable[name] ?? '0') + 1e-9;
  return [...needed].filter(([name, quantity]) => !enough(name, quantity)).map(([name]) => name);
}

/** k8s.io/component-helpers/scheduling/corev1/nodeaffinity: terms are alternatives, their requirements all hold. */
function matches(pod: Pod, node: SchedulableNode): boolean {
  const selected = Object.entries(pod.spec.nodeSelector ?? {}).every(([key, value]) => node.labels[key] === value);
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  if (!selected || required === undefined) return selected;
  return required.nodeSelectorTerms.some(({ matchExpressions = [], matchFields = [] }) => {
    const named = matchFields.every((field) => holds(field, field.key === 'metadata.name' ? node.name : undefined));
    const labelled = matchExpressions.every((expression) => holds(expression, node.labels[expression.key]));
    return matchExpressions.length + matchFields.length > 0 && named && labelled;
  });
}

function holds({ operator, values = [] }: NodeSelectorRequirement, value: string | undefined): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return Number(value) > Number(values[0]);
    case 'Lt':
      return Number(value) < Number(values[0]);
    default:
      return false;
  }
}
