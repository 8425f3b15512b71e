import type { NodeSelectorRequirement, Pod } from '../api/pod.ts';

/** What scheduling looks at of a Node. */
export interface SchedulableNode {
  name: string;
  labels: Readonly<Record<string, string>>;
}

/** Why a Pod does not fit the one node there is, in kube-scheduler's words; undefined when it does. */
export function unfitness(pod: Pod, node: SchedulableNode): string | undefined {
  if (matches(pod, node)) return undefined;
  return (
    "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. " +
    'preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.'
  );
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
