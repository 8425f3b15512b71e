import { hasReason } from '../../apis/machinery/errors.ts';
import { parseFieldSelector } from '../../apis/machinery/field-selector.ts';
import { type LabelRequirement, parseLabelSelector } from '../../apis/machinery/label-selector.ts';
import { group, resource, version } from '../../apis/names.ts';
import type { ResourceAttributes, SelectorRequirement } from '../../proxy/access/authorize.ts';
import type { ResourceRequest, Verb } from '../http/request-info.ts';

/** Verbs of which the review says what is selected (k8s.io/apiserver/pkg/endpoints/request/requestinfo.go). */
const selecting: ReadonlySet<Verb> = new Set<Verb>(['list', 'watch', 'deletecollection']);

/**
 * What is asked of kube-apiserver's authorizers about a request, as kube-apiserver itself would ask
 * (k8s.io/apiserver/pkg/endpoints/filters/authorization.go, plugin/pkg/authorizer/webhook/webhook.go): with the selectors,
 * so that a policy that allows a selection only is a right here too. A selector that cannot be parsed is left out, which
 * asks for more.
 */
export function reviewAttributes(info: ResourceRequest): ResourceAttributes {
  const attributes: ResourceAttributes = { verb: info.verb, group, version, resource };
  if (info.namespace !== undefined) attributes.namespace = info.namespace;
  if (info.name !== undefined) attributes.name = info.name;
  if (info.subresource !== undefined) attributes.subresource = info.subresource;
  if (!selecting.has(info.verb)) return attributes;
  const fields = fieldRequirements(info.query.get('fieldSelector') ?? '');
  const labels = labelRequirements(info.query.get('labelSelector') ?? '');
  if (fields.length > 0) attributes.fieldSelector = fields;
  if (labels.length > 0) attributes.labelSelector = labels;
  return attributes;
}

function fieldRequirements(text: string): SelectorRequirement[] {
  return requirementsOf(text, parseFieldSelector).map(({ field, operator, value }) => ({
    key: field,
    operator: operator === '!=' ? 'NotIn' : 'In',
    values: [value],
  }));
}

const labelOperators: Partial<Record<LabelRequirement['operator'], SelectorRequirement['operator']>> = {
  '=': 'In',
  '==': 'In',
  in: 'In',
  '!=': 'NotIn',
  notin: 'NotIn',
  exists: 'Exists',
  '!': 'DoesNotExist',
};

function labelRequirements(text: string): SelectorRequirement[] {
  const parsed = requirementsOf(text, parseLabelSelector);
  const sorted = parsed.toSorted((one, other) => (one.key < other.key ? -1 : Number(one.key > other.key)));
  return sorted.flatMap(({ key, operator, values }) => {
    const word = labelOperators[operator];
    // kube-apiserver leaves comparisons out too: requirements only narrow.
    if (word === undefined) return [];
    return [word === 'In' || word === 'NotIn' ? { key, operator: word, values } : { key, operator: word }];
  });
}

/** None of a selector that cannot be parsed. */
function requirementsOf<T>(text: string, parse: (text: string) => T[]): T[] {
  try {
    return parse(text);
  } catch (error) {
    if (hasReason(error, 'BadRequest')) return [];
    throw error;
  }
}
