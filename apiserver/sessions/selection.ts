import {
  type FieldRequirement,
  formatLabelSelector,
  type LabelRequirement,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
} from '../../apis/machinery/selector.ts';
import { sessionSelector } from '../../apis/names.ts';
import { toSandboxLabelKey } from '../../apis/v1alpha1/labels.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';

const fields = {
  'metadata.name': (session: Session) => session.metadata.name ?? '',
  'metadata.namespace': (session: Session) => session.metadata.namespace ?? '',
  'status.phase': (session: Session) => session.status?.phase ?? '',
  'spec.runtimeRef.name': (session: Session) => session.spec.runtimeRef?.name ?? '',
} as const satisfies Record<string, (session: Session) => string>;

type Field = keyof typeof fields;
const upstreamFields: readonly string[] = ['metadata.name', 'metadata.namespace'];

/** The sessions a list or watch is limited to. */
export interface Selection {
  matches(session: Session): boolean;
  /** The part that kube-apiserver can evaluate on Sandboxes. */
  upstream: { labelSelector: string; fieldSelector: string | undefined };
  /** The same as far as kube-apiserver can evaluate it: what equal upstream selectors have in common. */
  coarse: Selection;
  /** The one name that is selected, if the selector says so. */
  name: string | undefined;
}

/**
 * Reads the label and field selectors of a query. `status.phase` and `spec.runtimeRef.name` are evaluated here,
 * because they are not labels of the Sandbox.
 * @throws ApiError BadRequest.
 */
export function readSelection(query: URLSearchParams): Selection {
  const labels = parseLabelSelector(query.get('labelSelector') ?? '');
  const requirements = parseFieldSelector(query.get('fieldSelector') ?? '', Object.keys(fields));
  const upstream = requirements.filter(({ field }) => upstreamFields.includes(field));
  const name = requirements.find(({ field, operator }) => field === 'metadata.name' && operator === '=')?.value;
  const selection: Omit<Selection, 'coarse'> = {
    matches: (session) => matchesLabels(labels, session.metadata.labels) && matchesFields(requirements, session),
    upstream: {
      labelSelector: [sessionSelector, upstreamLabels(labels)].filter((part) => part !== '').join(','),
      fieldSelector: upstream.length === 0 ? undefined : upstream.map(formatField).join(','),
    },
    name,
  };
  const coarse: Selection = {
    ...selection,
    matches: () => true,
    get coarse() {
      return coarse;
    },
  };
  return { ...selection, coarse };
}

function upstreamLabels(labels: readonly LabelRequirement[]): string {
  return formatLabelSelector(
    labels.map((requirement) => ({ ...requirement, key: toSandboxLabelKey(requirement.key) })),
  );
}

function matchesFields(requirements: readonly FieldRequirement[], session: Session): boolean {
  return requirements.every(({ field, operator, value }) => {
    const equal = fields[field as Field](session) === value;
    return operator === '=' ? equal : !equal;
  });
}

function formatField({ field, operator, value }: FieldRequirement): string {
  return `${field}${operator}${value.replace(/[\\,=]/g, '\\$&')}`;
}
