import { ApiError } from '../../apis/machinery/errors.ts';
import {
  exactMatch,
  type FieldRequirement,
  formatFieldSelector,
  requireKnownFields,
} from '../../apis/machinery/field-selector.ts';
import { formatLabelSelector, type LabelRequirement, matchesLabels } from '../../apis/machinery/label-selector.ts';
import { sessionSelector } from '../../apis/names.ts';
import { toSandboxLabelKey } from '../../apis/v1alpha1/labels.ts';
import type { Session } from '../../apis/v1alpha1/types.ts';
import type { ListQuery } from './list-query.ts';

const fields = {
  'metadata.name': (session: Session) => session.metadata.name ?? '',
  'metadata.namespace': (session: Session) => session.metadata.namespace ?? '',
  'status.phase': (session: Session) => session.status?.phase ?? '',
  'spec.runtimeRef.name': (session: Session) => session.spec.runtimeRef?.name ?? '',
} as const satisfies Record<string, (session: Session) => string>;

type Field = keyof typeof fields;
const upstreamFields: readonly string[] = ['metadata.name', 'metadata.namespace'];

/** Longest prefix of a label's key. A longer one, once translated, is on no Sandbox. */
const longestLabelPrefix = 253;
/** Selects nothing, and has a resourceVersion all the same. */
const nothing = `!${sessionSelector.slice(0, sessionSelector.indexOf('='))}`;

/** The sessions a list or watch is limited to. */
export interface Selection {
  matches(session: Session): boolean;
  /** The part that kube-apiserver can evaluate on Sandboxes. */
  upstream: { labelSelector: string; fieldSelector: string | undefined };
  /** Whether that part is all of it. */
  isUpstream: boolean;
  /** Whether everything is selected. */
  isEmpty: boolean;
  /** The same as far as kube-apiserver can evaluate it: what equal upstream selectors have in common. */
  coarse: Selection;
  /** The one name that is selected, if the selector says so. */
  name: string | undefined;
  /** Equal for equal selections. */
  text: string;
}

/**
 * The selection of decoded options. `status.phase` and `spec.runtimeRef.name` are evaluated here, because they are not
 * labels of the Sandbox.
 * @param named the one session that the request names.
 * @throws ApiError BadRequest.
 */
export function selectionOf(query: Pick<ListQuery, 'labels' | 'fields'>, named: string | undefined): Selection {
  requireKnownFields(query.fields, Object.keys(fields));
  const requirements = withName(query.fields, named);
  const { labels } = query;
  const upstream = requirements.filter(({ field }) => upstreamFields.includes(field));
  const selection: Omit<Selection, 'coarse'> = {
    matches: (session) => matchesLabels(labels, session.metadata.labels) && matchesFields(requirements, session),
    upstream: {
      labelSelector: [sessionSelector, upstreamLabels(labels)].filter((part) => part !== '').join(','),
      fieldSelector: upstream.length === 0 ? undefined : formatFieldSelector(upstream),
    },
    isUpstream: upstream.length === requirements.length,
    isEmpty: labels.length === 0 && requirements.length === 0,
    name: exactMatch(requirements, 'metadata.name'),
    text: `${formatLabelSelector(labels)};${formatFieldSelector(requirements)}`,
  };
  const coarse: Selection = {
    ...selection,
    matches: () => true,
    isUpstream: true,
    get coarse() {
      return coarse;
    },
  };
  return { ...selection, coarse };
}

/** A request for one name is a selector of that name, and may have no other. */
function withName(requirements: FieldRequirement[], name: string | undefined): FieldRequirement[] {
  if (name === undefined) return requirements;
  if (requirements.length === 0) return [{ field: 'metadata.name', operator: '=', value: name }];
  if (exactMatch(requirements, 'metadata.name') === name) return requirements;
  throw new ApiError('BadRequest', "fieldSelector metadata.name doesn't match requested name");
}

function upstreamLabels(labels: readonly LabelRequirement[]): string {
  const parts = labels.flatMap((requirement) => {
    const key = toSandboxLabelKey(requirement.key);
    if (key.indexOf('/') <= longestLabelPrefix) return [formatLabelSelector([{ ...requirement, key }])];
    return matchesLabels([requirement], {}) ? [] : [nothing];
  });
  return parts.join(',');
}

function matchesFields(requirements: readonly FieldRequirement[], session: Session): boolean {
  return requirements.every(({ field, operator, value }) => {
    const equal = fields[field as Field](session) === value;
    return operator === '=' ? equal : !equal;
  });
}
